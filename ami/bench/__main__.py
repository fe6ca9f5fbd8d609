"""`scripts/bench`: one job of made-up results through the whole platform, measured on this machine."""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ami.bench.programs import start_programs
from ami.embedded.processes import ProcessGroup
from ami.embedded.stack import Stack


@dataclass(frozen=True)
class Round:
    """One job, from the request that started it to its final state."""

    images_per_second: float
    seconds: float
    status: str
    captures: int
    detections: int
    classifications: int
    detection_rows: int
    classification_rows: int
    duplicates: int
    http_errors: int
    tasks_p50_ms: float
    tasks_p95_ms: float
    result_p50_ms: float
    result_p95_ms: float
    cpu_ms_per_image: dict[str, float]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the rounds, print the table; 0 when every round was exact."""
    arguments = _arguments(argv)
    with (
        tempfile.TemporaryDirectory(prefix="ami-bench-") as folder,
        Stack(Path(folder), durable=True) as stack,
    ):
        os.environ.update(stack.environment())
        os.environ.update(
            DJANGO_SETTINGS_MODULE="config.settings.local", LOG_LEVEL="WARNING", AMI_DATA_DIR=folder
        )
        # Django reads its settings when it is imported, so not before the servers have addresses.
        from ami.bench.platform import BenchPlatform  # noqa: PLC0415

        platform = BenchPlatform.prepare(arguments.classes)
        with ProcessGroup() as group:
            url = start_programs(group, Path(folder), arguments.celery)
            rounds = []
            for number in range(arguments.warm_up + arguments.repeats):
                servers = {server.name.lower(): [server.pid] for server in stack.servers}
                measured = platform.round(
                    url, arguments, servers | {"web": [group.pid("web")], "celery": [group.pid("celery")]}
                )
                if number >= arguments.warm_up:
                    rounds.append(Round(**measured))
                    print(_line(rounds[-1]), flush=True)
    report = {
        "images": arguments.images,
        "workers": arguments.workers,
        "batch": arguments.batch,
        "detections": arguments.detections,
        "classes": arguments.classes,
        "median_images_per_second": statistics.median(item.images_per_second for item in rounds),
        "rounds": [asdict(item) for item in rounds],
    }
    print(f"median: {report['median_images_per_second']:.0f} images/s over {len(rounds)} rounds")
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=2))
    return 0 if all(_is_exact(item, arguments) for item in rounds) else 1


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("--images", type=int, default=2_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--batch", type=int, default=50)
    parser.add_argument("--detections", type=int, default=5)
    parser.add_argument("--classes", type=int, default=20)
    parser.add_argument("--logits", action="store_true", help="send logits as well as scores")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--warm-up", type=int, default=1, help="rounds that are not counted")
    parser.add_argument("--celery", type=int, default=2, help="processes that save results")
    parser.add_argument("--json", type=Path, help="write the report here")
    return parser.parse_args(argv)


def _is_exact(item: Round, arguments: argparse.Namespace) -> bool:
    boxes = arguments.images * arguments.detections
    return (
        item.status == "SUCCESS"
        and item.captures == arguments.images
        and {item.detections, item.classifications, item.detection_rows, item.classification_rows} == {boxes}
    )


def _line(item: Round) -> str:
    cpu: dict[str, Any] = {kind: round(ms, 2) for kind, ms in item.cpu_ms_per_image.items()}
    return (
        f"{item.images_per_second:7.0f} images/s  {item.status}  captures {item.captures:,}  "
        f"detections {item.detections:,} (rows {item.detection_rows:,})  duplicates {item.duplicates}  "
        f"http errors {item.http_errors}  tasks p50/p95 {item.tasks_p50_ms:.0f}/{item.tasks_p95_ms:.0f} ms  "
        f"result {item.result_p50_ms:.0f}/{item.result_p95_ms:.0f} ms  cpu ms/image {cpu} "
        f"= {sum(cpu.values()):.2f}"
    )


if __name__ == "__main__":
    sys.exit(main())
