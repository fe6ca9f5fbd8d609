"""`python -m ami.bench.large_post`: results of 24 images with 29,176 classes in one post, measured.

Says what such a post does to the memory of the one web process that takes it, and how long a cheap call
waits meanwhile: as it is, gzipped, and two at once.
"""

from __future__ import annotations

import gzip
import os
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import orjson
import requests

from ami.bench.made_up import ResultMaker
from ami.bench.programs import start_programs
from ami.bench.watching import MIB, watching
from ami.embedded.processes import ProcessGroup
from ami.embedded.stack import Stack

CLASSES = 29_176
IMAGES = 24
MOTHS = 2


def main() -> int:
    """Measure and print; 0 when every result was accepted."""
    with tempfile.TemporaryDirectory(prefix="ami-bench-") as folder, Stack(Path(folder)) as stack:
        os.environ.update(stack.environment())
        os.environ.update(
            DJANGO_SETTINGS_MODULE="config.settings.local",
            LOG_LEVEL="WARNING",
            AMI_DATA_DIR=folder,
            WEB_CONCURRENCY="1",
        )
        # Django reads its settings when it is imported, so not before the servers have addresses.
        from ami.bench.platform import BenchPlatform  # noqa: PLC0415

        platform = BenchPlatform.prepare(CLASSES)
        maker = ResultMaker(platform.pipeline.slug, MOTHS, CLASSES, logits=True)
        with ProcessGroup() as group:
            url = start_programs(group, Path(folder), 1)
            job_id = platform.start_job(IMAGES * 4)
            session = requests.Session()
            session.headers["Authorization"] = f"Token {platform.token}"
            at = f"{url}/api/v2/jobs/{job_id}"
            plain, zipped, *both = (_body(session, at, maker) for _ in range(4))
            rounds: dict[str, list[tuple[bytes, dict[str, str]]]] = {
                "one post": [(plain, {})],
                "one gzipped": [(gzip.compress(zipped, 1), {"Content-Encoding": "gzip"})],
                "two at once": [(body, {}) for body in both],
            }
            queued = 0
            for name, posts in rounds.items():
                with watching(group.pid("web"), f"{url}/api/v2/projects/") as seen:
                    queued += _post_all(session, at, posts)
                print(f"{name} of {len(posts[0][0]) / MIB:.1f} MiB: {seen}", flush=True)
    print(f"{queued} of {IMAGES * 4} results accepted")
    return 0 if queued == IMAGES * 4 else 1


def _body(session: requests.Session, at: str, maker: ResultMaker) -> bytes:
    tasks: list[dict[str, str]] = []
    while len(tasks) < IMAGES:
        answer = session.post(f"{at}/tasks/", json={"batch_size": IMAGES - len(tasks)}, timeout=60)
        tasks += answer.json()["tasks"]
        time.sleep(0.05)
    return orjson.dumps({"results": [maker.item(task) for task in tasks]})


def _post_all(session: requests.Session, at: str, posts: list[tuple[bytes, dict[str, str]]]) -> int:
    def post(body: bytes, headers: dict[str, str]) -> int:
        answer = session.post(
            f"{at}/result/", data=body, headers={"Content-Type": "application/json", **headers}, timeout=120
        )
        return int(answer.json()["results_queued"]) if answer.ok else 0

    with ThreadPoolExecutor(len(posts)) as pool:
        return sum(pool.map(lambda item: post(*item), posts))


if __name__ == "__main__":
    sys.exit(main())
