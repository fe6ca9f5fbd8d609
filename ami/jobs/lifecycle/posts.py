"""Reads the items of a result post: whose lease, what shape, what meaning. Touches no ledger row.

Each item is judged alone, so a bad one never loses its neighbours. An item without a good lease is refused
and changes nothing; under a good lease, what cannot be accepted is a failed attempt at that image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from pydantic import ValidationError

from ami.base.logs import clean_text
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


@dataclass(frozen=True, slots=True)
class Problem:
    """An attempt that ended badly: the worker's own error, or a result that cannot be accepted."""

    reply_subject: str
    lease: Lease
    code: ErrorCode
    text: str
    retryable: bool


Item = Refused | Success | Problem


def read_post(job: Job, results: Sequence[object], worker: Worker) -> list[Item]:
    """Every item of a post, in order. Of several items for one image, the first counts."""
    items: list[Item] = []
    seen: set[int] = set()
    for raw in results:
        subject = raw.get("reply_subject") if isinstance(raw, dict) else None
        echo = subject[:ECHO_MAX] if isinstance(subject, str) else ""
        lease = _lease(job, subject, worker)
        if isinstance(lease, str):
            items.append(Refused(echo, ItemStatus.REJECTED, lease))
        elif lease.image_id in seen:
            items.append(
                Refused(echo, ItemStatus.DUPLICATE, "An earlier item of this post is for the same image.")
            )
        else:
            seen.add(lease.image_id)
            items.append(_read(job, raw.get("result"), echo, lease))  # type: ignore[attr-defined]
    return items


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
        return _success(job, PipelineResultsResponse.model_validate(result), echo, lease)
    except Unacceptable as error:
        return Problem(echo, lease, ErrorCode.REJECTED_RESULT, str(error), retryable=True)
    except ValidationError as error:
        not_a_success = error
    if isinstance(result, dict) and "error" in result:
        try:
            return _problem(PipelineResultsError.model_validate(result), echo, lease)
        except ValidationError as error:
            return Problem(echo, lease, ErrorCode.REJECTED_RESULT, _sentence(error), retryable=True)
    return Problem(echo, lease, ErrorCode.REJECTED_RESULT, _sentence(not_a_success), retryable=True)


def _success(job: Job, result: PipelineResultsResponse, echo: str, lease: Lease) -> Success:
    if job.pipeline_id is None:
        raise Unacceptable("The job's pipeline was deleted.")
    known = catalogue(job.pipeline_id, needed_keys(result))
    checked = check_result(result, lease.image_id, known)
    milliseconds = min(max(int(result.total_time * 1_000), 0), MS_MAX)
    return Success(echo, lease, pack_item(AcceptedItem(checked, lease.delivery)), milliseconds)


def _problem(error: PipelineResultsError, echo: str, lease: Lease) -> Problem:
    text = clean_text(error.error).strip() or "The worker gave no reason."
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


def _sentence(error: ValidationError) -> str:
    """The first complaints of a schema, for the worker's author."""
    parts = [
        f"{'.'.join(str(step) for step in problem['loc']) or 'result'}: {problem['msg']}"
        for problem in error.errors(include_url=False, include_input=False, include_context=False)[:3]
    ]
    more = error.error_count() - len(parts)
    return clean_text("; ".join(parts) + (f"; and {more} more" if more > 0 else ""), REASON_MAX)
