"""Knows what was promised, and judges every change: was this step allowed to make it, and is it true?

It believes nothing that the code under test computes: verdicts, figures and predictions are worked out here
from what workers were told.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ami.base.database import rows
from ami.jobs.models import JobStage
from ami.jobs.states import OPEN, RUNNING, ErrorCode, JobState, TaskState
from ami.jobs.tests.properties.changes import (
    Change,
    JobChange,
    Kind,
    changes_between,
    job_changes_between,
)
from ami.jobs.tests.properties.view import Key, Row, Spot, View

Run = tuple[int, int, int]
"""Job, image and run."""

MaySay = Callable[[Change], bool]


@dataclass(frozen=True, slots=True)
class Posted:
    """A result as a worker posted it."""

    boxes: frozenset[Spot]
    worker: str


@dataclass(frozen=True)
class Allowed:
    """What a step may do: to rows, judged one by one, and to jobs. By default nothing."""

    row: MaySay = lambda _: False
    jobs: frozenset[Kind] = frozenset()
    posted: Mapping[Key, Posted] = field(default_factory=dict)
    """What is in the post, by job and image: what a row that becomes received has received."""


class Oracle:
    """The model of one life."""

    def __init__(self) -> None:
        """Nothing happened yet."""
        self.view = View.take()
        self.accepted: dict[Run, Posted] = {}
        self.processed: set[Run] = set()
        self.spoiled: set[Run] = set()
        self.deleted: set[int] = set()
        """Captures that are gone."""
        self.robbed: set[tuple[int, int]] = set()
        """Jobs and epochs whose messages somebody else took."""
        self._boxes: dict[int, set[Spot]] = {}
        self._markers: set[int] = set()

    def look(self, allowed: Allowed) -> tuple[list[Change], list[JobChange]]:
        """What changed since the last look. Fails if it was not allowed, or is not as it should be."""
        before, self.view = self.view, View.take()
        changes = changes_between(before, self.view)
        for change in changes:
            self._judge(change, allowed)
        job_changes = job_changes_between(before, self.view)
        for job_change in job_changes:
            assert job_change.kind in allowed.jobs, f"not now: {job_change}"
            if job_change.kind is Kind.FINISHED:
                self._judge_end(job_change.job_id)
        boxes = {image: boxes for image, boxes in self._boxes.items() if boxes}
        assert self.view.boxes == boxes, f"boxes: {self.view.boxes} instead of {boxes}"
        assert self.view.markers == self._markers, f"{self.view.markers} instead of {self._markers}"
        return changes, job_changes

    def look_away(self) -> None:
        """Take what is now for granted: the test itself has changed something."""
        self.view = View.take()

    def _judge(self, change: Change, allowed: Allowed) -> None:
        assert allowed.row(change), f"not now: {change}"
        row = change.after
        if row is None:
            return
        run = (row.job_id, row.image_id, row.run)
        if change.kind is Kind.RECEIVED:
            assert run not in self.accepted, f"accepted twice: {change}"
            self.accepted[run] = posted = allowed.posted[change.key]
            assert row.worker == posted.worker, str(change)
        elif change.kind is Kind.PROCESSED:
            self._save(row, run)
        elif change.kind is Kind.FAILED:
            self._judge_failure(change, run)
        elif change.kind in (Kind.REOPENED, Kind.COLLECTED):
            self._judge_new(row)

    def _save(self, row: Row, run: Run) -> None:
        """What was accepted is written, once, and as it was posted."""
        assert run not in self.processed, f"processed twice in one run: {row}"
        self.processed.add(run)
        boxes = self.accepted[run].boxes
        assert row.detections == row.classifications == len(boxes), f"{len(boxes)} boxes were posted: {row}"
        if boxes:
            self._boxes.setdefault(row.image_id, set()).update(boxes)
        else:
            self._markers.add(row.image_id)

    def _judge_failure(self, change: Change, run: Run) -> None:
        assert change.before is not None
        assert change.after is not None
        code = change.after.error_code
        if code == ErrorCode.CAPTURE_DELETED:
            assert run[1] in self.deleted, f"the capture is still there: {change}"
        elif change.before.status == TaskState.RECEIVED:
            assert code == ErrorCode.SAVE_ERROR, f"an accepted result was thrown away: {change}"
            assert run in self.spoiled, f"this result could be saved: {change}"

    def _judge_new(self, row: Row) -> None:
        job = self.view.jobs[row.job_id]
        assert row.run == job.run, f"a row was opened for another run: {row} of {job}"
        fresh = (row.attempt, row.released, row.accepted_in, row.detections, row.leased_until)
        assert fresh == (0, 0, None, 0, None), f"a row is opened with remains of an earlier run: {row}"

    def _judge_end(self, job_id: int) -> None:
        """Nothing is open, and the verdict is that of the counts."""
        tally = self.view.tally(job_id)
        job = self.view.jobs[job_id]
        assert job.collected
        assert not any(tally[state] for state in OPEN), f"{job} ended with open images: {tally}"
        counted = tally.total() - tally[TaskState.CANCELLED]
        if counted:
            failed = 2 * tally[TaskState.FAILED] > counted
            assert job.status == (JobState.FAILURE if failed else JobState.SUCCESS), f"{job}: {tally}"

    def forget_capture(self, image_id: int) -> None:
        """A capture is about to be deleted, with all that was found on it."""
        self.deleted.add(image_id)
        self._boxes.pop(image_id, None)
        self._markers.discard(image_id)

    def missing_messages(self, standing: Callable[[int], set[tuple[int, int]] | None]) -> list[str]:
        """Images that wait although their message was published and is gone, and nobody else took it."""
        missing = []
        for job in self.view.jobs.values():
            if job.status not in RUNNING or not job.epoch or (job.id, job.epoch) in self.robbed:
                continue
            there = standing(job.id)
            for row in self.view.of(job.id) if there is not None else ():
                published = row.status == TaskState.PENDING and row.position <= job.published_to
                if published and there is not None and (row.image_id, row.run) not in there:
                    missing.append(f"{row} of {job}")
        return missing

    def wrong_figures(self, job_id: int) -> list[str]:
        """How the figures that a job shows differ from what was promised and done."""
        job, tally = self.view.jobs[job_id], self.view.tally(job_id)
        done, failed = tally[TaskState.PROCESSED], tally[TaskState.FAILED]
        handled = done + failed + tally[TaskState.RECEIVED]
        boxes = sum(
            len(self.accepted[job_id, row.image_id, row.run].boxes)
            for row in self.view.of(job_id)
            if row.status == TaskState.PROCESSED
        )
        left = tally[TaskState.PENDING]
        if job.status == JobState.REVOKED:
            left += tally[TaskState.CANCELLED]  # people see how far it came
        wanted = {
            "total_images": tally.total(),
            "processed": handled,
            "remaining": left,
            "failed": failed,
            "captures": done,
            "detections": boxes,
            "classifications": boxes,
        }
        stages = JobStage.objects.filter(job_id=job_id)
        shown = {param["key"]: param["value"] for stage in stages for param in stage.params}
        return [] if shown == wanted else [f"{job} shows {shown}, and should show {wanted}"]

    def wrong_contributions(self, job_id: int) -> list[str]:
        """The same for what each worker is said to have done."""
        wanted: Counter[tuple[int, int]] = Counter()
        for row in self.view.of(job_id):
            if row.instance_id is not None and row.status in (TaskState.PROCESSED, TaskState.FAILED):
                wanted[row.instance_id, row.status] += 1
        shown: Counter[tuple[int, int]] = Counter()
        found = rows(
            "SELECT instance_id, processed, failed FROM jobs_jobcontribution WHERE job_id = %s", [job_id]
        )
        for instance_id, processed, failed in found:
            shown[instance_id, TaskState.PROCESSED] += processed
            shown[instance_id, TaskState.FAILED] += failed
        return [] if +shown == wanted else [f"job {job_id}: {dict(shown)} instead of {dict(wanted)}"]
