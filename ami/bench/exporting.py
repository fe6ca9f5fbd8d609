"""`python -m ami.bench.exporting`: exports of many classifications, measured.

Says, for each format, how many rows come out a second, how large the file is, and how much memory the process
that writes it takes beyond what it has when it begins. Each runs in a process of its own.
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import tempfile
import time
from pathlib import Path

from ami.embedded.stack import Stack

BOXES = 20
"""On each capture, each with two names."""


def main() -> int:
    """Measure and print; 0 when every export ended well."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--classifications", type=int, default=200_000, help="how many (default 200,000)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ami-bench-") as folder, Stack(Path(folder)) as stack:
        os.environ.update(stack.environment())
        os.environ.update(
            DJANGO_SETTINGS_MODULE="config.settings.local", LOG_LEVEL="WARNING", AMI_DATA_DIR=folder
        )
        # Django reads its settings when it is imported, so not before the servers have addresses.
        from ami.bench.export_data import fill, keys_of_formats, run_export  # noqa: PLC0415

        project_id = fill(arguments.classifications // (2 * BOXES), BOXES)
        statuses = [_alone(run_export, project_id, key) for key in keys_of_formats()]
    return max(statuses)


def _alone(run: object, project_id: int, key: str) -> int:
    """Run it in a forked process, which says what it took."""
    child = os.fork()
    if child == 0:
        try:
            before, began, worked = _peak_mib(), time.monotonic(), time.process_time()
            rows, size = run(project_id, key)  # type: ignore[operator]
            seconds, cpu = time.monotonic() - began, time.process_time() - worked
            print(
                f"{key}: {rows:,} rows in {seconds:.1f} s ({cpu:.1f} s of a core), "
                f"{rows / seconds:,.0f} a second, "
                f"{size / 1e6:.1f} MB, {_peak_mib() - before:.0f} MiB above the {before:.0f} of the process",
                flush=True,
            )
            os._exit(0)
        except BaseException as error:  # noqa: BLE001 - a child must not go on where its parent was
            print(f"{key}: {error!r}", flush=True)
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    sys.exit(main())
