"""The database as the oracle sees it: jobs, ledger and predictions at one moment, in three statements."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from ami.base.database import rows

Key = tuple[int, int]
"""Job and image."""

Spot = tuple[float, float]
"""The upper left corner of a box: enough to tell the boxes of these tests apart."""


class Row(NamedTuple):
    """A row of the ledger. `free`: it may be handed out, as far as time decides."""

    job_id: int
    image_id: int
    run: int
    status: int
    attempt: int
    released: int
    reopened: int
    position: int
    leased_until: datetime | None
    not_before: datetime | None
    worker: str
    instance_id: int | None
    accepted_in: int | None
    error_code: str
    detections: int
    classifications: int
    free: bool

    @property
    def used(self) -> int:
        """Attempts that count."""
        return self.attempt - self.released


class JobRow(NamedTuple):
    """A job."""

    id: int
    status: str
    run: int
    epoch: int
    collected: bool
    published_to: int


_LEDGER = """SELECT job_id, image_id, run, status, attempt, released, reopened, position, leased_until,
    not_before, worker, instance_id, accepted_in, error_code, detections, classifications,
    COALESCE(leased_until <= clock_timestamp(), true) AND COALESCE(not_before <= clock_timestamp(), true)
FROM jobs_jobtask ORDER BY job_id, position"""

_JOBS = """SELECT id, status, run, queue_epoch, collected_at IS NOT NULL, published_to FROM jobs_job
ORDER BY id"""

_FOUND = """SELECT source_image_id, x1, y1,
    (SELECT count(*) FROM ml_classification c WHERE c.detection_id = d.id) FROM ml_detection d"""


@dataclass(frozen=True, slots=True)
class View:
    """One look at everything."""

    jobs: dict[int, JobRow]
    rows: dict[Key, Row]
    boxes: dict[int, set[Spot]]
    """By image, without images that have none."""
    markers: set[int]
    """Images on which a detector looked and found nothing."""

    @classmethod
    def take(cls) -> View:
        """Look now."""
        jobs = {row[0]: JobRow(*row) for row in rows(_JOBS)}
        ledger = {(row[0], row[1]): Row(*row) for row in rows(_LEDGER)}
        boxes: dict[int, set[Spot]] = {}
        markers = set()
        for image_id, x, y, names in rows(_FOUND):
            if x is None:
                markers.add(image_id)
                continue
            assert names == 1, f"a box of image {image_id} has {names} names"
            boxes.setdefault(image_id, set()).add((x, y))
        return cls(jobs, ledger, boxes, markers)

    def of(self, job_id: int) -> list[Row]:
        """The ledger of a job, in the order of publishing."""
        return [row for row in self.rows.values() if row.job_id == job_id]

    def tally(self, job_id: int) -> Counter[int]:
        """How many rows of a job are in each state."""
        return Counter(row.status for row in self.of(job_id))
