"""Finds the new captures in the data source of a station, page by page, then groups them into sessions.

A page is listed and judged outside of transactions. Its captures, and where the listing stands, are one
transaction: a slice that dies goes on after the last page that was stored, and nothing is stored twice.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from ami.base import clock
from ami.jobs import logs
from ami.jobs.lifecycle.work import Work
from ami.jobs.logs import Line
from ami.jobs.models import Job
from ami.jobs.progress import Figure, Stage
from ami.jobs.types import session_steps
from ami.jobs.types.session_steps import regroup_step, station_of
from ami.main.models import Deployment, StorageSource
from ami.main.storage.captures import Judged, judge_page, store
from ami.main.storage.listing import Page
from ami.main.storage.sources import data_source_of, open_source

SESSIONS = "regroup_sessions"
STEP_SECONDS = 5.0
NAMED_FAILURES = 100
"""Files that cannot become captures and that the job's log names."""

_NEW = {"after": "", "files": 0, "bytes": 0, "new": 0, "skipped": 0, "failed": 0}


class SyncDataStorage:
    """A job over one station."""

    key = "data_storage_sync"
    stages: Sequence[Stage] = (
        Stage(
            key,
            "Data storage sync",
            figures=(Figure("total_files", "Total files"), Figure("failed", "Failed")),
        ),
        session_steps.stage(SESSIONS),
    )

    def check(self, job: Job) -> None:
        """It names a station, and the station has a data source."""
        data_source_of(station_of(job))

    def step(self, work: Work) -> bool:
        """A few pages, or a step of grouping."""
        if work.cursor.get("listed"):
            return regroup_step(work, SESSIONS)
        deployment = station_of(work.job)
        source = data_source_of(deployment)
        _begin(work, deployment, source)
        until = time.monotonic() + STEP_SECONDS
        for page in open_source(source, deployment.data_source_subdir).pages(work.cursor["listing"]["after"]):
            judged = judge_page(deployment, source, page, work.keep)
            self._store(work, deployment, source, page, judged)
            if time.monotonic() > until:
                break
        return True

    def _store(
        self, work: Work, deployment: Deployment, source: StorageSource, page: Page, judged: Judged
    ) -> None:
        """The captures of a page, what the log says of it, and where the listing stands."""
        listing = dict(work.cursor["listing"])
        with work.commit():
            listing["new"] += store(deployment, source, judged.new)
            logs.write(work.job.pk, _failures(judged, named=listing["failed"]))
            listing["after"] = page.last
            listing["files"] += judged.images
            listing["bytes"] += judged.bytes
            listing["skipped"] += judged.skipped
            listing["failed"] += len(judged.broken)
            work.cursor["listing"] = listing
            work.report(
                self.key,
                _share(listing["files"], deployment) if page.more else 1.0,
                total_files=listing["files"],
                failed=listing["failed"],
            )
            if not page.more:
                self._end_listing(work, deployment)

    def _end_listing(self, work: Work, deployment: Deployment) -> None:
        """Note what the place holds, in the transaction of its last page."""
        listing = work.cursor["listing"]
        work.cursor["listed"] = True
        Deployment.objects.filter(pk=deployment.pk).update(
            data_source_total_files=listing["files"],
            data_source_total_size=listing["bytes"],
            data_source_last_checked=clock.now(),
        )
        shown = {name: listing[name] for name in ("files", "new", "skipped", "failed")}
        Job.objects.filter(pk=work.job.pk).update(result=shown)
        logs.write_one(
            work.job.pk,
            "sync.listed",
            f"{listing['files']:,} images found, {listing['new']:,} of them new; "
            f"{listing['skipped']:,} other files skipped, {listing['failed']:,} images failed.",
            **shown,
        )


def _begin(work: Work, deployment: Deployment, source: StorageSource) -> None:
    """Start from the beginning, unless this very place was listed already. The next commit keeps it."""
    place = [
        source.pk,
        source.uri(deployment.data_source_subdir),
        source.endpoint_url,
        deployment.data_source_regex,
    ]
    if work.cursor.get("place") != place:
        work.cursor = {"place": place, "listing": dict(_NEW)}


def _share(files: int, deployment: Deployment) -> float:
    """How far a listing is, which nobody knows: by what the place held the last time."""
    expected = max(deployment.data_source_total_files, files + 1_000)
    return min(0.95, files / expected)


def _failures(judged: Judged, named: int) -> list[Line]:
    """A line for each file that failed, up to NAMED_FAILURES in a job; the counts tell of the rest."""
    left = max(0, NAMED_FAILURES - named)
    return [
        Line("sync.file_failed", f"{path}: {reason}", "WARNING", {"path": path[:200]})
        for path, reason in judged.broken[:left]
    ]
