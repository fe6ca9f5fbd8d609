"""data_export: writes what pipelines found into a file, a few hundred captures a step.

The cursor: `phase` (`write`, then `finish`), `after` and `upto` (captures by id), `total` and `done`, `rows`,
`left_out`, `parts` (how long the unfinished files are) and `name` (what the finished file will be called).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from django.conf import settings

from ami.base import clock
from ami.base.errors import InvalidInput
from ami.base.failpoints import hit
from ami.jobs import logs
from ami.jobs.exports import storage
from ami.jobs.exports.format import Total, Writer
from ami.jobs.exports.formats import find_format
from ami.jobs.exports.parts import Parts, alone_in
from ami.jobs.exports.rows import Chunk, one_view, read_chunk
from ami.jobs.exports.scope import scope_of
from ami.jobs.lifecycle.work import ClaimLost, Work
from ami.jobs.models import DataExport, Job
from ami.jobs.progress import Figure, Stage
from ami.jobs.states import RUNNING, JobState

NO_EXPORT = "This job names no export: create exports at /api/v2/exports/, which makes their jobs."

_PATH = "/api/v2/exports/{key}/download/"


class DataExportKind:
    """Exports."""

    key = "data_export"
    stages: Sequence[Stage] = (
        Stage(
            "data_export",
            "Data Export",
            figures=(
                Figure("captures", "Captures"),
                Figure("rows", "Rows"),
                Figure("left_out", "Left Out"),
            ),
        ),
        Stage("uploading_snapshot", "Uploading Snapshot", figures=(Figure("file_url", "File URL"),)),
    )

    def check(self, job: Job) -> None:
        """There is an export, and what it is about is still there. Raises InvalidInput."""
        scope_of(_export_of(job))

    def step(self, work: Work) -> bool:
        """Some hundred captures, or the end. What is written beyond the last commit is cut off again."""
        export = _export_of(work.job)
        folder = storage.unfinished_folder(export.pk, work.claim.run)
        try:
            if not work.cursor:
                storage.remove_unfinished(export.pk, work.claim.run - 1)
            with alone_in(folder):
                if not work.cursor:
                    _begin(work, export)
                    return True
                if work.cursor["phase"] == "write":
                    _write(work, export)
                    return True
                _finish(work, export)
                return False
        except (ClaimLost, InvalidInput):
            if not _is_over(work):
                raise
            storage.remove_unfinished(export.pk, work.claim.run)
            raise ClaimLost from None

    def abandon(self, job: Job) -> None:
        """Remove the files of an export whose job was cancelled or failed; that of a run before, too."""
        export = DataExport.objects.filter(job=job.pk).first()
        if export is None or job.status not in (JobState.REVOKED, JobState.FAILURE):
            return
        DataExport.objects.filter(pk=export.pk).update(file="", size=0)
        name = str(job.work.get("cursor", {}).get("name", ""))
        storage.remove_after_commit(export, name, upto_run=job.run)


def _export_of(job: Job) -> DataExport:
    export = DataExport.objects.select_related("project", "user").filter(job=job.pk).first()
    if export is None:
        raise InvalidInput(NO_EXPORT)
    return export


def _begin(work: Work, export: DataExport) -> None:
    """Which captures, and an empty file. The file of a run before is gone from here on."""
    scope, form = scope_of(export), find_format(export.format)
    with Parts(storage.unfinished_folder(export.pk, work.claim.run), {}, deflated=form.deflated) as parts:
        form.begin(parts)
        parts.settle()
    total, last = scope.extent()
    storage.remove(export.file)
    with work.commit():
        work.cursor = {
            "phase": "write",
            "after": 0,
            "upto": last,
            "total": total,
            "done": 0,
            "rows": 0,
            "left_out": {},
            "parts": parts.as_cursor(),
            "name": storage.new_name(export, form.ending),
        }
        work.report("data_export", 0 if total else 0.99, captures=0, rows=0, left_out=0)
        DataExport.objects.filter(pk=export.pk).update(file="", size=0, rows_written=0)


def _write(work: Work, export: DataExport) -> None:
    cursor = work.cursor
    scope, form = scope_of(export), find_format(export.format)
    folder = storage.unfinished_folder(export.pk, work.claim.run)
    with Parts(folder, cursor["parts"], deflated=form.deflated) as parts:
        with one_view():
            chunk = read_chunk(scope, cursor["after"], cursor["upto"])
            if chunk is not None:
                changes = _write_chunk(chunk, form.writer(parts, export.base_url), cursor)
        if chunk is None:
            changes = {"phase": "finish"}
        parts.settle()
        changes["parts"] = parts.as_cursor()
    hit("export.before_commit")
    with work.commit():
        work.cursor = cursor | changes
        _report(work)


def _write_chunk(chunk: Chunk, writer: Writer, cursor: dict[str, Any]) -> dict[str, Any]:
    written = sum(writer.add(capture, found) for capture, found in chunk.read())
    writer.end_step()
    return {
        "after": chunk.last_id,
        "done": cursor["done"] + len(chunk.captures),
        "rows": cursor["rows"] + written,
        "left_out": dict(Counter(cursor["left_out"]) + writer.left_out),
    }


def _report(work: Work) -> None:
    cursor = work.cursor
    over = cursor["phase"] == "finish"
    share = min(cursor["done"] / cursor["total"], 0.99) if cursor["total"] else 0.99
    work.report(
        "data_export",
        1.0 if over else share,
        captures=cursor["done"],
        rows=cursor["rows"],
        left_out=sum(cursor["left_out"].values()),
    )


def _finish(work: Work, export: DataExport) -> None:
    """Make the file and move it to its place. That is in the commit: cancelling comes before or after."""
    cursor = work.cursor
    total = Total(cursor["done"], cursor["left_out"])
    made = None if storage.is_there(cursor["name"]) else _make(work, export, total)
    hit("export.before_move")
    address = f"{settings.EXTERNAL_BASE_URL.rstrip('/') or export.base_url}{_PATH.format(key=export.pk)}"
    with work.commit():
        size = storage.put(made, cursor["name"])
        hit("export.moved")
        DataExport.objects.filter(pk=export.pk).update(
            file=cursor["name"], size=size, rows_written=cursor["rows"], updated_at=clock.now()
        )
        work.report("uploading_snapshot", 1.0, file_url=address)
    storage.remove_unfinished(export.pk, work.claim.run)
    _tell(work.job.pk, total)


def _make(work: Work, export: DataExport, total: Total) -> Path:
    form = find_format(export.format)
    folder = storage.unfinished_folder(export.pk, work.claim.run)
    with Parts(folder, work.cursor["parts"], deflated=form.deflated) as parts:
        return form.finish(parts, export, total)


def _tell(job_id: int, total: Total) -> None:
    if total.left_out:
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in sorted(total.left_out.items()))
        logs.write_one(job_id, "export.left_out", f"Captures left out: {reasons}.", "WARNING")


def _is_over(work: Work) -> bool:
    """Whether the job ended, or began anew, while a step was busy: then what it wrote is nobody's.

    Who only lost the claim leaves the files alone: whoever has it now goes on with them.
    """
    return not Job.objects.filter(pk=work.job.pk, run=work.claim.run, status__in=RUNNING).exists()
