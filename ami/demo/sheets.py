"""Captures for a demo without anybody's photographs: drawn light sheets, kept for the next start."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ami.worker.sheets import make_sheet

SIZE = (1024, 768)
"""Pixels: small, so that drawing them does not hold up the first start."""
THREADS = 2
FIRST_SEED = 2026
FIRST_NIGHT = datetime(2026, 7, 1, 21, tzinfo=UTC)
PAUSE = timedelta(minutes=10)


def missing_sheets(folder: Path, count: int) -> list[int]:
    """The numbers, from 1 to `count`, of the sheets that are not drawn yet."""
    return [number for number in range(1, count + 1) if not _file(folder, number).exists()]


def draw_sheets(folder: Path, numbers: list[int], *, tell: Callable[[int], None]) -> None:
    """Draw these sheets and `tell` how many are done; the same number is the same sheet on every machine."""
    folder.mkdir(parents=True, exist_ok=True)
    pool = ThreadPoolExecutor(THREADS, thread_name_prefix="draw")
    try:
        drawn = pool.map(lambda number: _draw(_file(folder, number), number), numbers)
        for done, _ in enumerate(drawn, start=1):
            tell(done)
    finally:
        pool.shutdown(cancel_futures=True)


def _file(folder: Path, number: int) -> Path:
    """Named after the time at which a camera would have taken it, so that captures have one."""
    return folder / f"{_taken_at(number):%Y%m%d%H%M%S}-sheet.jpg"


def _taken_at(number: int) -> datetime:
    return FIRST_NIGHT + number * PAUSE


def _draw(file: Path, number: int) -> None:
    sheet, _ = make_sheet(FIRST_SEED + number, size=SIZE, taken_at=_taken_at(number))
    unfinished = file.with_suffix(".unfinished")
    sheet.save(unfinished, format="JPEG", quality=90)
    unfinished.replace(file)
