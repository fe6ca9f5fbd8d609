"""`python -m ami.bench.open_pages`: what many open pages cost a job that runs meanwhile.

Rounds without pages and rounds with them take turns, so that both meet the same machine. A page asks as
`live.js` does: 2 s after a change, up to 10 s while nothing changes. Half show the job, half the overview.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import random
import re
import statistics
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ami.bench.programs import start_programs
from ami.embedded.processes import ProcessGroup
from ami.embedded.stack import Stack

if TYPE_CHECKING:
    from ami.bench.platform import BenchPlatform

FAST, SLOW, GROWTH = 2.0, 10.0, 1.5
"""Seconds between two questions of a page: `live.js` has the same."""
_MARK = re.compile(rb"^x-mark: (\w+)", re.IGNORECASE | re.MULTILINE)
_LENGTH = re.compile(rb"^content-length: (\d+)", re.IGNORECASE | re.MULTILINE)


async def _page(url: str, path: str, stop: asyncio.Event, seen: Counter[int]) -> None:
    """One page: asks as cheaply as Python can, for it shares the machine."""
    connection = _Connection(url)
    wait, mark = random.uniform(0, FAST), b""  # noqa: S311 - pages are not opened all at once
    while not stop.is_set():
        try:
            await asyncio.wait_for(stop.wait(), wait)
            break
        except TimeoutError:
            head = await connection.ask(path, mark)
        status = int(head[9:12])
        seen[status] += 1
        if found := _MARK.search(head):
            mark = found[1]
        wait = FAST if status == 200 else min(wait * GROWTH, SLOW)
    connection.close()


class _Connection:
    """One to the server, opened again when the server has closed it, as browsers do."""

    def __init__(self, url: str) -> None:
        self._where = urlsplit(url)
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, path: str, mark: bytes) -> bytes:
        """The head of the answer."""
        for _ in range(2):
            try:
                return await self._try(path, mark)
            except (asyncio.IncompleteReadError, ConnectionError):
                self.close()
        raise ConnectionError("The server closes every connection.")

    async def _try(self, path: str, mark: bytes) -> bytes:
        if self._streams is None:
            self._streams = await asyncio.open_connection(self._where.hostname, self._where.port)
        reader, writer = self._streams
        host = self._where.netloc.encode()
        writer.write(b"GET %s?seen=%s HTTP/1.1\r\nHost: %s\r\n\r\n" % (path.encode(), mark, host))
        head = await reader.readuntil(b"\r\n\r\n")
        if length := _LENGTH.search(head):
            await reader.readexactly(int(length[1]))
        return head

    def close(self) -> None:
        """Leave the server."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


def _pages(url: str, paths: Sequence[str], stop: Event, answers: Queue[dict[int, int]]) -> None:
    """A process of its own, so that the load driver of the job keeps its interpreter to itself."""
    seen: Counter[int] = Counter()

    async def run() -> None:
        ended = asyncio.Event()
        pages = [asyncio.create_task(_page(url, path, ended, seen)) for path in paths]
        await asyncio.get_running_loop().run_in_executor(None, stop.wait)
        ended.set()
        await asyncio.gather(*pages)

    asyncio.run(run())
    answers.put(dict(seen))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the rounds, print both medians and their ratio; 0 when every page was answered."""
    arguments = _arguments(argv)
    with (
        tempfile.TemporaryDirectory(prefix="ami-pages-") as folder,
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
            url = start_programs(group, Path(folder), 2)
            pids = {"web": [group.pid("web")], "celery": [group.pid("celery")]}
            platform.round(url, arguments, pids)  # warms everything up
            rates: dict[int, list[float]] = {0: [], arguments.pages: []}
            answers: Counter[int] = Counter()
            for _ in range(arguments.repeats):
                for pages in rates:
                    rate, answered = _round(platform, url, arguments, pids, pages)
                    rates[pages].append(rate)
                    answers.update(answered)
                    print(f"{pages:4} pages  {rate:6.0f} images/s  answers {answered}", flush=True)
    return _report(arguments, rates, answers)


def _round(
    platform: BenchPlatform, url: str, arguments: argparse.Namespace, pids: dict[str, list[int]], pages: int
) -> tuple[float, dict[int, int]]:
    from ami.bench.visiting import addresses  # noqa: PLC0415 - needs Django, as above

    if not pages:
        return platform.round(url, arguments, pids)["images_per_second"], {}
    spawn = multiprocessing.get_context("spawn")
    stop, answers = spawn.Event(), spawn.Queue()
    paths = addresses(platform.project.owner_id or 0, pages)
    process = spawn.Process(target=_pages, args=(url, paths, stop, answers))
    process.start()
    try:
        rate = platform.round(url, arguments, pids)["images_per_second"]
    finally:
        stop.set()
        answered = answers.get(timeout=60)
        process.join()
    return rate, answered


def _report(arguments: argparse.Namespace, rates: dict[int, list[float]], answers: Counter[int]) -> int:
    without, with_pages = (statistics.median(found) for found in rates.values())
    pairs = [many / none for none, many in zip(*rates.values(), strict=True)]
    print(
        f"median {without:.0f} images/s without pages, {with_pages:.0f} with {arguments.pages}; "
        f"ratio of neighbours {statistics.median(pairs):.3f} ({min(pairs):.3f} to {max(pairs):.3f})"
    )
    if arguments.json:
        arguments.json.write_text(json.dumps({"rates": rates, "answers": dict(answers)}, indent=2))
    return 0 if set(answers) <= {200, 204, 410} else 1


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m ami.bench.open_pages", description=__doc__)
    parser.add_argument("--pages", type=int, default=100)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=4)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--batch", type=int, default=50)
    parser.add_argument("--detections", type=int, default=5)
    parser.add_argument("--classes", type=int, default=20)
    parser.add_argument("--logits", action="store_true", help="send logits as well as scores")
    parser.add_argument("--json", type=Path, help="write the figures here")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
