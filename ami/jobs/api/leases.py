"""From the tokens that a worker sends to the leases that it may speak for."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from ami.jobs.lifecycle.holders import Worker
from ami.jobs.lifecycle.leases import signer
from ami.jobs.models import Job
from ami.taskqueue import InvalidLease, Lease

ECHO_MAX = 1_000
JOB_GONE = "The job of this lease is gone, or not yours to work on any more."


@dataclass(frozen=True, slots=True)
class Known:
    """A good token, and its lease."""

    token: str
    lease: Lease


@dataclass(frozen=True, slots=True)
class Refusal:
    """A token that opens nothing, and why."""

    token: str
    reason: str


def known_leases(tokens: Sequence[Any], worker: Worker, projects: Collection[int]) -> list[Known | Refusal]:
    """Each token judged alone, in order: forged, foreign or malformed ones are refused.

    A lease is also refused in a project where the worker may not work any more, and when its job is gone.
    """
    judged = [_judge(token, worker) for token in tokens]
    job_ids = {item.lease.job_id for item in judged if isinstance(item, Known)}
    open_jobs = set(Job.objects.filter(pk__in=job_ids, project__in=projects).values_list("pk", flat=True))
    return [
        item if isinstance(item, Refusal) or item.lease.job_id in open_jobs else Refusal(item.token, JOB_GONE)
        for item in judged
    ]


def _judge(token: Any, worker: Worker) -> Known | Refusal:
    if not isinstance(token, str):
        return Refusal("", "A lease is a text: the reply_subject that came with the task.")
    try:
        lease = signer().verify(token)
    except InvalidLease as error:
        return Refusal(token[:ECHO_MAX], error.message)
    if lease.holder != worker.holder:
        return Refusal(token[:ECHO_MAX], "This lease was handed out to somebody else.")
    return Known(token, lease)
