"""What must be in the database when a job has ended: known beforehand, image by image."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from ami.chaos.database import ask
from ami.chaos.pipeline import boxes_on
from ami.chaos.world import Night
from ami.jobs.states import JobState, TaskState


@dataclass(slots=True)
class ChaosJob:
    """A job of a run, and how it must end: with this status, and exactly these images failed."""

    id: int
    night: Night
    status: JobState = JobState.SUCCESS
    failed: frozenset[int] = field(default_factory=frozenset)
    may_cancel: bool = False
    """Whether images may be left undone because the job was cancelled."""


def wrong(job: ChaosJob, accepted: Iterable[int]) -> Iterator[str]:
    """What is not as it must be. `accepted`: images whose result was answered `queued`."""
    status = JobState(ask("SELECT status FROM jobs_job WHERE id = %s", [job.id])[0][0])
    if status != job.status:
        yield f"I2 job {job.id} ended as {status}, not as {job.status}"
    states = {
        image: TaskState(state)
        for image, state in ask("SELECT image_id, status FROM jobs_jobtask WHERE job_id = %s", [job.id])
    }
    if set(states) != set(job.night.image_ids):
        yield f"I1 job {job.id} has {len(states)} images, not {len(job.night.image_ids)}"
    yield from _wrong_states(job, states)
    yield from _wrong_predictions(job, states)
    processed = {image for image, state in states.items() if state is TaskState.PROCESSED}
    if lost := set(accepted) - processed:
        yield f"I8 {len(lost)} results of job {job.id} were answered `queued` and not saved: {_few(lost)}"


def _wrong_states(job: ChaosJob, states: dict[int, TaskState]) -> Iterator[str]:
    failed = {image for image, state in states.items() if state is TaskState.FAILED}
    if unexpected := failed - job.failed:
        reasons = ask(
            """SELECT DISTINCT error_code, error_text FROM jobs_jobtask
            WHERE job_id = %s AND image_id = ANY(%s)""",
            [job.id, list(unexpected)],
        )
        yield f"I2 images of job {job.id} failed: {_few(unexpected)}, {reasons[:3]}"
    if spared := job.failed - failed:
        yield f"I2 images of job {job.id} should have failed: {_few(spared)}"
    undone = Counter(
        state for image, state in states.items() if state not in {TaskState.PROCESSED, TaskState.FAILED}
    )
    if job.may_cancel:
        undone.pop(TaskState.CANCELLED, None)
    if undone:
        yield f"I2 images of job {job.id} have no outcome: {dict(undone)}"


def _wrong_predictions(job: ChaosJob, states: dict[int, TaskState]) -> Iterator[str]:
    """I3: as many boxes, names and null markers as are on each image; none where nothing was processed."""
    found = {
        row[0]: row[1:]
        for row in ask(
            """SELECT d.source_image_id, count(*) FILTER (WHERE d.x1 IS NOT NULL),
                count(*) FILTER (WHERE d.x1 IS NULL),
                count(c.id), count(DISTINCT (d.x1, d.y1, d.x2, d.y2)) FILTER (WHERE d.x1 IS NOT NULL)
            FROM ml_detection d LEFT JOIN ml_classification c ON c.detection_id = d.id
            WHERE d.source_image_id = ANY(%s) GROUP BY 1""",
            [list(states)],
        )
    }
    for image, state in states.items():
        boxes = boxes_on(image) if state is TaskState.PROCESSED else 0
        nothing = int(state is TaskState.PROCESSED and boxes == 0)
        expected = (boxes, nothing, boxes, boxes)
        if (seen := tuple(found.get(image, (0, 0, 0, 0)))) != expected:
            yield (
                f"I3 image {image} of job {job.id} is {state.name.lower()} and has {seen}, not {expected}: "
                "detections, null markers, classifications, distinct boxes"
            )


def _few(images: Iterable[int]) -> str:
    ordered = sorted(images)
    return ", ".join(map(str, ordered[:5])) + (" …" if len(ordered) > 5 else "")
