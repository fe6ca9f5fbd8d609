"""What became of an export, in words."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet
from django.template.defaultfilters import filesizeformat
from django.urls import reverse

from ami.jobs.models import DataExport, Job, JobStage
from ami.jobs.states import FINAL, SERVING, JobState
from ami.main.media import signed_query

_WRITING = "data_export"


@dataclass(frozen=True)
class ExportFact:
    """An export for people. `link`: where the file is; empty until it is there."""

    export: DataExport
    title: str
    state: str
    words: str
    link: str = ""
    is_open: bool = False
    """Whether it may still change by itself."""
    percent: int = 0
    failed: bool = False


def exports_with_jobs() -> QuerySet[DataExport]:
    """Exports, read as `fact_of` needs them: two statements, however many they are."""
    return DataExport.objects.select_related("project", "user", "job").prefetch_related("job__stages")


def fact_of(export: DataExport) -> ExportFact:
    """What became of it, by its job; whoever exported has read what the project has."""
    job: Job | None = getattr(export, "job", None)
    if job is None:
        return ExportFact(export, str(export), "gone", "Its job was deleted; export again.", failed=True)
    if job.status == JobState.SUCCESS and export.file:
        rows = f"{export.rows_written:,} row{'' if export.rows_written == 1 else 's'}"
        words = f"{rows}, {filesizeformat(export.size)}"
        return ExportFact(export, job.name, "done", words, link=_link(export))
    if job.status in FINAL:
        return _ended_without_file(export, job)
    if job.status in SERVING:
        stage = next((each for each in job.stages.all() if each.key == _WRITING), None)
        percent = int(100 * stage.progress) if stage else 0
        return ExportFact(export, job.name, "running", _how_far(stage), is_open=True, percent=percent)
    return ExportFact(export, job.name, "waiting", "Waiting for its turn.", is_open=True)


def facts_of(exports: Iterable[DataExport]) -> list[ExportFact]:
    """The same for many."""
    return [fact_of(export) for export in exports]


def warnings_of(export: DataExport) -> list[str]:
    """What its job warned of in this run, such as captures that the format cannot express."""
    job: Job | None = getattr(export, "job", None)
    if job is None or job.started_at is None:
        return []
    lines = job.log_entries.filter(level="WARNING", created_at__gte=job.started_at)
    return list(lines.order_by("-created_at", "-pk").values_list("message", flat=True)[:_WARNINGS])


_WARNINGS = 5


def _ended_without_file(export: DataExport, job: Job) -> ExportFact:
    if job.status == JobState.REVOKED:
        return ExportFact(export, job.name, "cancelled", "Somebody cancelled it; there is no file.")
    if job.status == JobState.SUCCESS:
        return ExportFact(export, job.name, "gone", "Its file is gone; export again.", failed=True)
    why = job.diagnostics[-1] if job.diagnostics else "The log of its job says why."
    return ExportFact(export, job.name, "failed", str(why), failed=True)


def _how_far(stage: JobStage | None) -> str:
    figures = _figures(stage)
    if stage is None or not isinstance(figures.get("captures"), int):
        return "It has just begun."
    if stage.progress >= 1:
        return f"All {figures['rows']:,} rows are written; the file is being put together."
    return (
        f"{int(100 * stage.progress)} %: {figures['captures']:,} captures are read, "
        f"{figures['rows']:,} rows are written."
    )


def _figures(stage: JobStage | None) -> dict[str, Any]:
    return {figure["key"]: figure["value"] for figure in stage.params} if stage else {}


def _link(export: DataExport) -> str:
    return f"{reverse('api:dataexport-download', args=[export.pk])}?{signed_query(export.signed_subject)}"
