"""What the benchmark of exports exports, written by the database itself, and the export."""

from __future__ import annotations

import django

django.setup()

# The models exist only once Django is set up.
from django.core.management import call_command  # noqa: E402
from django.db import connections  # noqa: E402

from ami.base.database import execute  # noqa: E402
from ami.jobs.dispatcher import install  # noqa: E402
from ami.jobs.exports.create import create_export  # noqa: E402
from ami.jobs.lifecycle.dispatch import dispatch_job  # noqa: E402
from ami.jobs.models import DataExport, ExportFormat, Job  # noqa: E402
from ami.jobs.states import FINAL, JobState  # noqa: E402
from ami.main.models import Deployment, Project, Taxon  # noqa: E402
from ami.ml.models import Algorithm  # noqa: E402
from ami.ml.workers import SignOfLife  # noqa: E402

_CAPTURES = """
INSERT INTO main_sourceimage (project_id, deployment_id, path, public_base_url, timestamp, width, height,
    checksum, test_image, created_at, updated_at)
SELECT %(project)s, %(station)s, 'night/' || n || '.jpg', 'https://images.example.org/station',
    '2024-06-01T00:00Z'::timestamptz + n * interval '1 minute', 4096, 2160, '', false, now(), now()
FROM generate_series(1, %(captures)s) n
"""
_BOXES = """
INSERT INTO ml_detection (source_image_id, detection_algorithm_id, x1, y1, x2, y2, detection_time, path,
    created_at, updated_at)
SELECT c.id, %(detector)s, 100.5 * b, 10.25, 100.5 * b + 90, 120.75, now(), '', now(), now()
FROM main_sourceimage c, generate_series(1, %(boxes)s) b ORDER BY c.id, b
"""
_NAMES = """
INSERT INTO ml_classification (detection_id, algorithm_id, taxon_id, score, terminal, timestamp,
    scores_packed, logits_packed, created_at, updated_at)
SELECT d.id, %(namer)s, t, 0.123456 + t * 0.01, true, now(), '', '', now(), now()
FROM ml_detection d, unnest(%(taxa)s::bigint[]) t ORDER BY d.id, t
"""


class _NoDispatcher:
    """Asks for nothing: the benchmark carries the job on itself."""

    def dispatch(self, job_id: int, *, delay: float = 0) -> bool:
        """Not now."""
        return True

    def save(self, inbox_ids: list[int]) -> bool:
        """There is nothing to save."""
        return True

    def refresh(self, job_id: int, *, delay: float = 0) -> bool:
        """Not now."""
        return True

    def seen(self, sign: SignOfLife) -> bool:
        """Nobody is."""
        return True


def fill(captures: int, boxes: int) -> int:
    """Captures with boxes, each with two names; returns their project."""
    call_command("migrate", verbosity=0)
    install(_NoDispatcher())
    project = Project.objects.create(name="Bench")
    station = Deployment.objects.create(project=project, name="Station", latitude=9.15, longitude=-79.85)
    detector = Algorithm.objects.create(name="Detector", key="detector", task_type="localization")
    namer = Algorithm.objects.create(name="Classifier", key="classifier", task_type="classification")
    taxa = [
        Taxon.objects.create(name=name, rank="SPECIES").pk for name in ("Vanessa cardui", "Vanessa atalanta")
    ]
    execute(_CAPTURES, {"project": project.pk, "station": station.pk, "captures": captures})
    execute(_BOXES, {"detector": detector.pk, "boxes": boxes})
    execute(_NAMES, {"namer": namer.pk, "taxa": taxa})
    connections.close_all()  # whoever is forked has connections of its own
    return project.pk


def keys_of_formats() -> list[str]:
    """The formats."""
    return list(ExportFormat.values)


def run_export(project_id: int, key: str) -> tuple[int, int]:
    """Export a project, slice after slice; how many rows, and bytes, that made."""
    project = Project.objects.get(pk=project_id)
    export = create_export(
        project=project, export_format=key, filters={}, user=None, base_url="https://ami.example.org"
    )
    job = Job.objects.get(data_export=export)
    while job.status not in FINAL:
        dispatch_job(job.pk)
        job.refresh_from_db()
    if job.status != JobState.SUCCESS:
        raise SystemExit(f"The export failed: {job.diagnostics}")
    export = DataExport.objects.get(pk=export.pk)
    return export.rows_written, export.size
