"""The driver claim: at most one slice of dispatching per job at a time.

A claim is two columns of the job's row, taken and extended by conditional UPDATEs and judged by the
database's clock; a slice that died loses it by time.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from django.conf import settings

from ami.base.database import execute, rows

REST_SHARE = 0.9
"""Of a pause; the slice that comes at its end finds the job free."""


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to dispatch one job in one run."""

    job_id: int
    run: int
    driver: str


def take(job_id: int) -> Claim | None:
    """Claim the dispatch of a running job; None when it is not running or somebody else has the claim."""
    driver = uuid.uuid4().hex
    found = rows(
        """UPDATE jobs_job SET driver = %s, driver_until = clock_timestamp() + make_interval(secs => %s)
        WHERE id = %s AND status IN ('PENDING', 'STARTED', 'RETRY')
            AND (driver_until IS NULL OR driver_until < clock_timestamp())
        RETURNING run""",
        [driver, settings.CLAIM_SECONDS, job_id],
    )
    return Claim(job_id, found[0][0], driver) if found else None


def extend(claim: Claim) -> bool:
    """Hold the claim for longer; False when the job ended, was retried, or the claim went to another."""
    return bool(
        execute(
            """UPDATE jobs_job SET driver_until = clock_timestamp() + make_interval(secs => %s)
            WHERE id = %s AND driver = %s AND run = %s AND status IN ('PENDING', 'STARTED', 'RETRY')""",
            [settings.CLAIM_SECONDS, claim.job_id, claim.driver, claim.run],
        )
    )


def hold_while_collecting(claim: Claim) -> bool:
    """First statement of every collecting transaction: extends the claim and locks the job's row."""
    return bool(
        execute(
            """UPDATE jobs_job SET driver_until = clock_timestamp() + make_interval(secs => %s)
            WHERE id = %s AND driver = %s AND run = %s AND status IN ('PENDING', 'STARTED', 'RETRY')
                AND collected_at IS NULL""",
            [settings.CLAIM_SECONDS, claim.job_id, claim.driver, claim.run],
        )
    )


def release(claim: Claim) -> None:
    """Give the claim back, if it is still ours."""
    execute(
        "UPDATE jobs_job SET driver = '', driver_until = NULL WHERE id = %s AND driver = %s",
        [claim.job_id, claim.driver],
    )


def rest(claim: Claim, seconds: float) -> float:
    """Give the claim back, and let nobody take it for (nearly) `seconds`; returns them."""
    execute(
        """UPDATE jobs_job SET driver = '', driver_until = clock_timestamp() + make_interval(secs => %s)
        WHERE id = %s AND driver = %s""",
        [REST_SHARE * seconds, claim.job_id, claim.driver],
    )
    return seconds
