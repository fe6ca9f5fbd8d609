"""`python -m ami.bench.sync`: looking through a folder of many files, and grouping what was found, measured.

The files hold one byte and say their time in their names, so what is measured is the listing, the rows and
the sessions. Says the time of a first job and of a second that finds nothing new, and how much memory the
process took above what it had before.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import psutil

from ami.embedded.stack import Stack

MIB = 2**20
SAMPLE_SECONDS = 0.02
A_NIGHT = 2_000
START = datetime(2026, 1, 1, 18)  # noqa: DTZ001 - as a station's clock says it


def main() -> int:
    """Measure and print; 0 when every file became one capture."""
    parser = argparse.ArgumentParser(prog="python -m ami.bench.sync", description=__doc__)
    parser.add_argument("--files", type=int, default=100_000, help="how many")
    count = parser.parse_args().files
    with tempfile.TemporaryDirectory(prefix="ami-bench-") as home, Stack(Path(home)) as stack:
        os.environ.update(stack.environment())
        os.environ.update(
            DJANGO_SETTINGS_MODULE="config.settings.local",
            LOG_LEVEL="WARNING",
            STORAGE_FOLDERS=f"{home}/disk",
        )
        # Django reads its settings when it is imported, so not before the servers have addresses.
        from ami.bench.platform import BenchPlatform  # noqa: PLC0415

        project = BenchPlatform.prepare(1).project
        write_files(Path(home, "disk"), count)
        good = True
        for name, new in (("first", count), ("second", 0)):
            seconds, memory, job = run(project, f"{home}/disk")
            sessions = {param["key"]: param["value"] for param in job.stages.get(position=1).params}
            print(
                f"{name}: {seconds:.1f} s, memory +{memory / MIB:.0f} MiB, {job.result}, "
                f"{sessions['events_created']} sessions made for {sessions['captures_grouped']:,} captures"
            )
            good = good and (job.status, job.result["new"]) == ("SUCCESS", new)
    return 0 if good else 1


def write_files(disk: Path, count: int) -> None:
    """A folder for each night, a file every ten seconds."""
    for number in range(count):
        night, place = divmod(number, A_NIGHT)
        taken = START + timedelta(days=night, seconds=10 * place)
        folder = disk / f"{START + timedelta(days=night):%Y-%m-%d}"
        if not place:
            folder.mkdir(parents=True)
        (folder / f"{taken:%Y%m%d%H%M%S}.jpg").write_bytes(b"x")


def run(project: Any, folder: str) -> tuple[float, float, Any]:
    """One job, run here: seconds, memory above the beginning in bytes, and the job."""
    from ami.jobs.lifecycle.create import create_job  # noqa: PLC0415 - as above
    from ami.jobs.lifecycle.dispatch import dispatch_job  # noqa: PLC0415
    from ami.jobs.lifecycle.enqueue import run_job  # noqa: PLC0415
    from ami.main.models import Deployment, StorageSource  # noqa: PLC0415

    source, _ = StorageSource.objects.get_or_create(
        project=project, name="Disk", kind="folder", folder=folder
    )
    station, _ = Deployment.objects.get_or_create(project=project, name="Station", data_source=source)
    job = create_job(name="Sync", project=project, deployment=station, job_type_key="data_storage_sync")
    began = time.perf_counter()
    with most_memory() as memory:
        run_job(job)
        while not job.is_final:
            dispatch_job(job.pk)
            job.refresh_from_db()
    return time.perf_counter() - began, max(memory) - memory[0], job


@contextmanager
def most_memory() -> Iterator[list[int]]:
    """What this process holds in memory while the block runs, in bytes, looked at often."""
    process, over = psutil.Process(), threading.Event()
    seen = [process.memory_info().rss]

    def watch() -> None:
        while not over.wait(SAMPLE_SECONDS):
            seen.append(process.memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield seen
    finally:
        over.set()
        watcher.join()


if __name__ == "__main__":
    sys.exit(main())
