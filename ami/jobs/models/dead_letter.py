"""Dead letters: images that failed for good, until somebody has them done again."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from ami.jobs.models.task import JobTask
from ami.jobs.states import ErrorCode


class DeadLetterManager(models.Manager["DeadLetter"]):
    """Failed rows of the ledger, and no others."""

    def get_queryset(self) -> models.QuerySet[DeadLetter]:
        """Those that have a time of failure: this is what their indexes are made for."""
        return super().get_queryset().filter(failed_at__isnull=False)


class DeadLetter(JobTask):
    """A failed row of the ledger; its attempts are the rows of `Attempt` with the same job and image.

    The letter is gone once its image is requeued; its attempts stay.
    """

    objects: ClassVar[DeadLetterManager] = DeadLetterManager()

    class Meta:
        proxy = True
        default_permissions = ("view",)

    @property
    def attempts_used(self) -> int:
        """Leases of this run that counted: those handed out less those given back unused."""
        return self.attempt - self.released

    @property
    def meaning(self) -> str:
        """What its error code says, in words."""
        return str(ErrorCode(self.error_code).label) if self.error_code in ErrorCode else self.error_code
