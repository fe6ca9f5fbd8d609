"""Reads the items of a result post: whose lease, what shape, what meaning. Touches no ledger row.

Each item is judged alone, so a bad one never loses its neighbours. An item without a good lease is refused
and changes nothing; under a good lease, what cannot be accepted is a failed attempt at that image.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from pydantic import ValidationError

from ami.base.logs import clean_text, mask
from ami.jobs.lifecycle.bounds import Extent, boxes_outside, extent_of
from ami.jobs.lifecycle.catalogue import catalogue
from ami.jobs.lifecycle.checking import Unacceptable, check_result, needed_keys
from ami.jobs.lifecycle.holders import Worker
from ami.jobs.lifecycle.inbox_body import AcceptedItem, pack_item
from ami.jobs.lifecycle.leases import signer
from ami.jobs.models import Job
from ami.jobs.states import ErrorCode
from ami.ml.schemas import PipelineResultsError, PipelineResultsResponse
from ami.taskqueue import InvalidLease, Lease

ECHO_MAX = 1_000
MS_MAX = 2**31 - 1
REASON_MAX = 500


class ItemStatus(StrEnum):
    """What became of an item, as the answer says it."""

    QUEUED = "queued"
    DUPLICATE = "duplicate"
    REJECTED = "rejected"
    CANCELLED = "cancelled"
    RETRY = "retry"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Refused:
    """An item that is not looked at any further, and why."""

    reply_subject: str
    status: ItemStatus
    reason: str


@dataclass(frozen=True, slots=True)
class Success:
    """A result that may be accepted; `packed` is its form in the inbox."""

    reply_subject: str
    lease: Lease
    packed: bytes
    processing_ms: int | None
    extent: Extent | None
    """Of all boxes together; None without boxes."""


@dataclass(frozen=True, slots=True)
class Problem:
    """An attempt that ended badly: the worker's own error, or a result that cannot be accepted."""

    reply_subject: str
    lease: Lease
    code: ErrorCode
    text: str
    retryable: bool


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Stands for an item that could not even be parsed, so that nobody knows whose lease it was."""

    reason: str


Item = Refused | Success | Problem


def read_post(job: Job, results: Iterable[object], worker: Worker) -> list[Item]:
    """Every item of a post, in order. Of several items for one image, the first counts.

    Each item is dropped before the next is asked for, so `results` may make them one at a time.
    """
    items: list[Item] = []
    seen: set[int] = set()
    for raw in results:
        items.append(_judge(job, raw, worker, seen))
        del raw
    return inside_their_images(items)


def _judge(job: Job, raw: object, worker: Worker, seen: set[int]) -> Item:
    """One item; `seen` are the images of those before it."""
    if isinstance(raw, Unreadable):
        return Refused("", ItemStatus.REJECTED, raw.reason)
    item = raw if isinstance(raw, dict) else {}
    subject = item.get("reply_subject")
    echo = _sayable(subject[:ECHO_MAX]) if isinstance(subject, str) else ""
    lease = _lease(job, subject, worker)
    if isinstance(lease, str):
        return Refused(echo, ItemStatus.REJECTED, lease)
    if lease.image_id in seen:
        return Refused(echo, ItemStatus.DUPLICATE, "An earlier item of this post is for the same image.")
    seen.add(lease.image_id)
    return _read(job, item.get("result"), echo, lease)


def inside_their_images(items: list[Item]) -> list[Item]:
    """The items; a success with a box outside of its image has become a problem."""
    successes = [item for item in items if isinstance(item, Success)]
    extents = {item.lease.image_id: item.extent for item in successes if item.extent is not None}
    outside = boxes_outside(extents)
    if not outside:
        return items
    return [
        Problem(
            item.reply_subject,
            item.lease,
            ErrorCode.REJECTED_RESULT,
            outside[item.lease.image_id],
            retryable=True,
        )
        if isinstance(item, Success) and item.lease.image_id in outside
        else item
        for item in items
    ]


def _sayable(text: str) -> str:
    """The text without halves of characters, which no answer can carry."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _lease(job: Job, subject: object, worker: Worker) -> Lease | str:
    """The lease behind a token, or the reason why it is refused."""
    if not isinstance(subject, str):
        return "reply_subject is missing: send back the one that came with the task."
    try:
        lease = signer().verify(subject)
    except InvalidLease as error:
        return error.message
    if lease.job_id != job.pk:
        return f"This lease is of job {lease.job_id}, not of job {job.pk}."
    if lease.holder != worker.holder:
        return "This lease was handed out to somebody else."
    return lease


def _read(job: Job, result: object, echo: str, lease: Lease) -> Item:
    """Shape and meaning of a result under a good lease; success is tried before error (contract 2.7)."""
    try:
        return success_of(job, PipelineResultsResponse.model_validate(result), echo, lease)
    except Unacceptable as error:
        return Problem(echo, lease, ErrorCode.REJECTED_RESULT, str(error), retryable=True)
    except ValidationError as error:
        not_a_success = error
    if isinstance(result, dict) and "error" in result:
        try:
            return _problem(PipelineResultsError.model_validate(result), echo, lease)
        except ValidationError as error:
            return Problem(echo, lease, ErrorCode.REJECTED_RESULT, sentence_of(error), retryable=True)
    return Problem(echo, lease, ErrorCode.REJECTED_RESULT, sentence_of(not_a_success), retryable=True)


def success_of(job: Job, result: PipelineResultsResponse, echo: str, lease: Lease) -> Success:
    """A result of one image in the form of the inbox. Raises Unacceptable with the reason."""
    if job.pipeline_id is None:
        raise Unacceptable("The job's pipeline was deleted.")
    known = catalogue(job.pipeline_id, needed_keys(result))
    checked = check_result(result, lease.image_id, known)
    milliseconds = min(max(int(result.total_time * 1_000), 0), MS_MAX)
    packed = pack_item(AcceptedItem(checked, lease.delivery))
    return Success(echo, lease, packed, milliseconds, extent_of(result.detections))


def _problem(error: PipelineResultsError, echo: str, lease: Lease) -> Problem:
    text = clean_text(mask(error.error)).strip() or "The worker gave no reason."
    code = ErrorCode.WORKER_ERROR
    if error.code == ErrorCode.UNREADABLE_IMAGE or text.lower().startswith("failed to load image"):
        code = ErrorCode.UNREADABLE_IMAGE
    if error.image_id is not None and error.image_id != str(lease.image_id):
        return Problem(
            echo,
            lease,
            ErrorCode.REJECTED_RESULT,
            f"The error is about image {clean_text(error.image_id, 64)}, the lease about {lease.image_id}.",
            retryable=True,
        )
    return Problem(echo, lease, code, text, retryable=error.retryable is not False)


def sentence_of(error: ValidationError) -> str:
    """The first complaints of a schema, for the worker's author."""
    parts = [
        f"{'.'.join(str(step) for step in problem['loc']) or 'result'}: {problem['msg']}"
        for problem in error.errors(include_url=False, include_input=False, include_context=False)[:3]
    ]
    more = error.error_count() - len(parts)
    return clean_text("; ".join(parts) + (f"; and {more} more" if more > 0 else ""), REASON_MAX)
