"""What a job left in the database: pictures of what was found, and why images failed.

Needs Django to be set up.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from django.db.models import Count, Prefetch
from PIL import Image

from ami.jobs.models import JobTask
from ami.jobs.states import ErrorCode, TaskState
from ami.main.media import media_file
from ami.main.models import SourceImage
from ami.ml.models import Classification, Detection
from ami.worker import pipeline as worker
from ami.worker.boxes import Box
from ami.worker.drawing import draw_finds

LONGEST_SIDE = 2000
"""Pixels of a picture: enough for the screen, small enough to mail."""
QUALITY = 88


@dataclass(frozen=True)
class Failure:
    """An image that failed. `code`: one of `ErrorCode`."""

    capture: str
    code: str
    reason: str

    @property
    def meaning(self) -> str:
        """The code in words."""
        return ErrorCode(self.code).label


def failures_of(job_id: int) -> list[Failure]:
    """Every failed image of a job with its reason."""
    rows = JobTask.objects.filter(job_id=job_id, status=TaskState.FAILED).order_by("position")
    return [
        Failure(Path(path or f"capture {image_id}").name, code, reason)
        for image_id, path, code, reason in rows.values_list(
            "image_id", "image__path", "error_code", "error_text"
        )
    ]


def draw_pictures(job_id: int, folder: Path, *, most: int) -> list[Path]:
    """Write the captures of a job with most detections into `folder`, boxes, labels and scores on them."""
    done = JobTask.objects.filter(job_id=job_id, status=TaskState.PROCESSED).values("image_id")
    labels = Prefetch("classifications", Classification.objects.select_related("taxon").order_by("pk"))
    boxes = Prefetch("detections", Detection.objects.all().real().prefetch_related(labels), to_attr="boxes")
    captures = (
        SourceImage.objects.filter(pk__in=done)
        .annotate(found=Count("detections__x1"))
        .order_by("-found", "pk")
        .prefetch_related(boxes)[:most]
    )
    folder.mkdir(parents=True, exist_ok=True)
    return [_draw(capture, folder) for capture in captures]


def _draw(capture: SourceImage, folder: Path) -> Path:
    detections: list[Detection] = getattr(capture, "boxes", [])
    target = folder / f"{Path(capture.path).stem}-{capture.pk}.jpg"
    with Image.open(media_file(capture.path)) as photograph:
        finds = [find for detection in detections for find in _finds(detection)]
        draw_finds(photograph, finds, max_side=LONGEST_SIDE).save(target, quality=QUALITY)
    return target


def _finds(detection: Detection) -> list[worker.Found]:
    """A detection as the drawing wants it; its score is that of its last classification."""
    if detection.bbox is None:
        return []
    named = [
        worker.Classification(row.taxon.name, [row.score], terminal=row.terminal)
        for row in detection.classifications.all()
    ]
    scores = [row.score for row in detection.classifications.all() if row.terminal]
    return [worker.Found(Box(*detection.bbox), named, score=scores[-1] if scores else None)]
