"""What the answer of a service says about each image of a batch, in the form of a worker's post.

An image is processed only if the answer names it and raises no complaint about it. Whatever else happens is
that image's failure, with the reason; nothing is ever taken for "looked, and found nothing".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ami.base.logs import clean_text, mask
from ami.jobs.lifecycle.checking import Unacceptable
from ami.jobs.lifecycle.posts import Item, Problem, inside_their_images, success_of
from ami.jobs.lifecycle.push.batches import Batch
from ami.jobs.lifecycle.push.call import Failed
from ami.jobs.models import Job
from ami.jobs.states import ErrorCode
from ami.ml.schemas import PipelineResultsResponse
from ami.taskqueue import Lease

ERROR_MAX = 2_000


def read_answer(job: Job, answer: PipelineResultsResponse, batch: Batch) -> list[Item]:
    """An item for each image of the batch, in order. What the answer says of other images is ignored."""
    complaints, general = _complaints(answer.errors)
    named = {image.id: image for image in answer.source_images}
    found: dict[str, list[Any]] = {}
    for detection in answer.detections:
        found.setdefault(detection.source_image_id, []).append(detection)
    items: list[Item] = []
    for pushed in batch:
        key = str(pushed.lease.image_id)
        complaint = complaints.get(key) or ("" if key in found else general)
        if complaint:
            items.append(problem(pushed.lease, ErrorCode.SERVICE_ERROR, complaint))
        elif key not in named and key not in found:
            items.append(problem(pushed.lease, ErrorCode.SERVICE_ERROR, "The answer leaves this image out."))
        else:
            alone = answer.model_copy(
                update={
                    "source_images": [named[key]] if key in named else [],
                    "detections": found.get(key, []),
                    "total_time": answer.total_time / len(batch),
                }
            )
            items.append(_checked(job, alone, pushed.lease))
    return inside_their_images(items)


def failed_items(failed: Failed, batch: Batch) -> list[Item]:
    """The failure of a request as that of each of its images; permanent only if it can be nobody else's."""
    code = ErrorCode.SERVICE_TIMEOUT if failed.timed_out else ErrorCode.SERVICE_ERROR
    lone = len(batch) == 1
    return [
        problem(image.lease, code, failed.text, retryable=not (lone and failed.permanent)) for image in batch
    ]


def problem(lease: Lease, code: ErrorCode, text: str, *, retryable: bool = True) -> Problem:
    """A failed attempt at one image."""
    return Problem("", lease, code, clean_text(mask(text), ERROR_MAX), retryable)


def _checked(job: Job, answer: PipelineResultsResponse, lease: Lease) -> Item:
    try:
        return success_of(job, answer, "", lease)
    except Unacceptable as error:
        return problem(lease, ErrorCode.REJECTED_RESULT, str(error))


def _complaints(errors: Sequence[Any] | str | None) -> tuple[dict[str, str], str]:
    """The errors of an answer: those about an image by its id, and the others in one sentence."""
    if not errors:
        return {}, ""
    by_image: dict[str, str] = {}
    general: list[str] = []
    for error in [errors] if isinstance(errors, str) else errors:
        if isinstance(error, dict) and error.get("image_id") is not None:
            by_image[str(error["image_id"])] = str(error.get("error") or "The service gave no reason.")
        else:
            general.append(str(error.get("error", error) if isinstance(error, dict) else error))
    return by_image, "; ".join(general)
