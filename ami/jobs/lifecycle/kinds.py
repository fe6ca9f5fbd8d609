"""Kinds of internal jobs: work that the platform does itself, in slices, with no image in anybody's hands.

A kind lives in `ami.jobs.types` and registers itself here; lifecycle code knows kinds by this protocol only.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from ami.jobs.lifecycle.work import Work
from ami.jobs.models import Job
from ami.jobs.progress import Stage


class Kind(Protocol):
    """One type of internal job."""

    key: str
    """The `job_type_key`, such as `data_export`."""

    stages: Sequence[Stage]
    """As they are before the job begins, in order."""

    def check(self, job: Job) -> None:
        """Refuse a job that cannot be carried out. Raises InvalidInput with what to do."""

    def step(self, work: Work) -> bool:
        """Do the next few seconds' worth; True when there is more to do.

        Everything that a step must not do twice happens inside `work.commit()`; the rest may be repeated.
        Raises an AmiError: a permanent one fails the job with its sentence, another one is tried again.
        """


@runtime_checkable
class LeavesFiles(Protocol):
    """A kind whose jobs have something outside of the database while they are under way."""

    def abandon(self, job: Job) -> None:
        """Remove what is left of a job that will not be finished. Safe to run twice, and during a slice."""


_known: dict[str, Kind] = {}


def register(kind: Kind) -> None:
    """Let jobs of this kind run. Safe to call twice with the same kind."""
    _known[kind.key] = kind


def find(key: str) -> Kind | None:
    """The kind of this key; None if there is none here."""
    return _known.get(key)


def abandon(job_id: int) -> None:
    """Have a job that was cancelled, or failed, leave nothing behind; for any job."""
    job = Job.objects.filter(pk=job_id).first()
    if job is None:
        return
    kind: object = find(job.job_type_key)
    if isinstance(kind, LeavesFiles):
        kind.abandon(job)
