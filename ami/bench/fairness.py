"""`python -m ami.bench.fairness`: how long small jobs take beside a large one, and how long alone.

The whole platform as processes, and pull workers with the real loop whose model sleeps a given time for each
image. A small job runs alone, again and again; then by itself beside a large one; then many small ones at
once, without a large one and with one that is started before or after them. Each job's time goes from its own
start to its end.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ami.bench.fair_figures import Load, Times, ideal, in_order_of_arrival
from ami.bench.programs import start_programs
from ami.embedded.processes import ProcessGroup
from ami.embedded.stack import Stack

if TYPE_CHECKING:
    from ami.bench.platform import BenchPlatform

WARM_UP = 3
SETTLE_SECONDS = 0.5
"""Until all workers wait again."""


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print; ends with an error if a job does."""
    options = _arguments(argv)
    with (
        tempfile.TemporaryDirectory(prefix="ami-bench-") as folder,
        Stack(Path(folder), durable=True) as stack,
        ProcessGroup() as group,
    ):
        os.environ.update(stack.environment())
        os.environ.update(
            DJANGO_SETTINGS_MODULE="config.settings.local", LOG_LEVEL="WARNING", AMI_DATA_DIR=folder
        )
        from ami.bench.platform import BenchPlatform  # noqa: PLC0415 - settings are read when it is imported

        platform = BenchPlatform.prepare(classes=2)
        url = start_programs(group, Path(folder), options.celery, beat=True)
        for milliseconds in options.ms:
            load = Load(options.workers, milliseconds, options.small, options.images, options.large)
            with _workers(url, platform.token, Path(folder), load, options):
                _measure(platform, load, options.repeats)
    return 0


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ms", type=float, nargs="+", default=[0.0, 10.0, 50.0], help="model, ms per image")
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--batch", type=int, default=8, help="tasks that a worker asks for at once")
    parser.add_argument("--small", type=int, default=20, help="small jobs")
    parser.add_argument("--images", type=int, default=50, help="images of a small job")
    parser.add_argument("--large", type=int, default=5_000, help="images of the large job")
    parser.add_argument("--repeats", type=int, default=7, help="times that a small job runs alone")
    parser.add_argument("--celery", type=int, default=2, help="processes of background work")
    parser.add_argument(
        "--claims",
        choices=("batch", "job"),
        help="workers do not reserve over all jobs: they claim one for each batch, or until it is empty",
    )
    return parser.parse_args(argv)


@contextmanager
def _workers(url: str, token: str, folder: Path, load: Load, options: argparse.Namespace) -> Iterator[None]:
    environment = os.environ | {"AMI_URL": url, "AMI_TOKEN": token}
    with ProcessGroup() as group:
        for number in range(load.workers):
            group.start(
                f"worker-{number}",
                [
                    *(sys.executable, "-m", "ami.bench.pull_worker", "--name", f"bench-{number}"),
                    *("--ms", str(load.milliseconds), "--batch", str(options.batch)),
                    *(["--claims", options.claims] if options.claims else []),
                ],
                env=environment,
                log=folder / f"worker-{number}.log",
            )
        yield


def _measure(platform: BenchPlatform, load: Load, repeats: int) -> None:
    busy = os.getloadavg()[0]
    print(f"model {load.milliseconds:g} ms an image, {load.workers} workers (machine's load {busy:.1f})")
    times = [_alone(platform, load) for _ in range(WARM_UP + repeats)][WARM_UP:]
    alone = statistics.median(times)
    _say("alone", Times(times).against(alone) + f"; {repeats} times")
    beside = _one_beside_large(platform, load, repeats)
    _say("one, large beside", beside.against(alone) + f"; {repeats} times")
    _say("  equal share", _ideal(load, alone, jobs=2))
    small = Times(platform.run_together([platform.job(load.small_images) for _ in range(load.small)]))
    _say(f"{load.small} small at once", small.against(alone))
    _say("  equal share", _ideal(load, alone, jobs=load.small))
    first = _all_at_once(platform, load, large_first=True)
    _say("large job first", first.against(alone) + f"; large {first.large:.1f} s")
    _say("  equal share", _ideal(load, alone, jobs=load.small + 1))
    _say("  if in order", in_order_of_arrival(load, first).against(alone))
    last = _all_at_once(platform, load, large_first=False)
    _say("small jobs first", last.against(alone) + f"; large {last.large:.1f} s")


def _ideal(load: Load, alone: float, jobs: int) -> str:
    seconds = ideal(load, alone, jobs)
    return f"{seconds:.2f} s = {seconds / alone:.1f} times alone (computed)"


def _say(what: str, figures: str) -> None:
    print(f"  {what:<18} {figures}", flush=True)


def _alone(platform: BenchPlatform, load: Load) -> float:
    time.sleep(SETTLE_SECONDS)
    (seconds,) = platform.run_together([platform.job(load.small_images)])
    return seconds


def _one_beside_large(platform: BenchPlatform, load: Load, repeats: int) -> Times:
    large = platform.start_job(load.large_images)
    time.sleep(2 * SETTLE_SECONDS)
    times = Times([_alone(platform, load) for _ in range(repeats)])
    if not platform.cancel(large):
        print("  The large job ended too early: what follows was measured alone in part.")
    return times


def _all_at_once(platform: BenchPlatform, load: Load, *, large_first: bool) -> Times:
    large = platform.job(load.large_images)
    small = [platform.job(load.small_images) for _ in range(load.small)]
    time.sleep(SETTLE_SECONDS)
    if large_first:
        times = platform.run_together([large, *small])
        return Times(times[1:], times[0])
    times = platform.run_together([*small, large])
    return Times(times[:-1], times[-1])


if __name__ == "__main__":
    sys.exit(main())
