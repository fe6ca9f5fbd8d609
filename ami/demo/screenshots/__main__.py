"""`python -m ami.demo.screenshots [--into FOLDER]`: starts a demo, takes the pictures, stops it."""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ami.demo.errors import DemoError
from ami.demo.programs import ROOT
from ami.demo.screenshots.browser import find_chromium, take, window
from ami.demo.screenshots.story import Story
from ami.embedded.signals import signals_end_this
from ami.worker.identity import INSTANCE_VARIABLE

IMAGES = ROOT / "docs" / "tutorial" / "images"
START_SECONDS = 180
MACHINE = "laptop"
"""What the pages call the machine of the worker; its real name is nobody's business."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Take all pictures and return the exit code."""
    parser = argparse.ArgumentParser(prog="scripts/screenshots", description=__doc__)
    parser.add_argument(
        "--into", type=Path, default=IMAGES, metavar="FOLDER", help="default: those of the docs"
    )
    folder: Path = parser.parse_args(arguments).into
    try:
        with signals_end_this(), TemporaryDirectory(prefix="ami-screenshots-") as temporary:
            _take_all(find_chromium(), folder, Path(temporary))
    except DemoError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _take_all(chromium: str, folder: Path, data: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    secrets = [str(data), socket.gethostname()]
    with _demo(data) as demo, window(chromium) as page:

        def shoot(name: str, height: int) -> None:
            text = page.inner_text("body")
            if found := [secret for secret in secrets if secret in text]:
                raise DemoError(f"{page.url} shows what only this machine has: {', '.join(found)}.")
            target = folder / f"{name}.png"
            take(page, target, height)
            print(f"{target.name:<16}{target.stat().st_size:>9,} bytes")

        Story(demo, data, page, shoot).tell()


@contextmanager
def _demo(data: Path) -> Iterator[dict[str, Any]]:
    """A demo that runs, as its own report tells about it."""
    report, log = data / "report.json", data / "demo.log"
    command = [sys.executable, "-m", "ami.demo", "--data", str(data), "--json", str(report)]
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 - our own arguments
            command, stdout=output, stderr=output, cwd=ROOT, env=os.environ | {INSTANCE_VARIABLE: MACHINE}
        )
    try:
        print("Starting a demo ...")
        deadline = time.monotonic() + START_SECONDS
        while not report.exists():
            if process.poll() is not None or time.monotonic() > deadline:
                raise DemoError(f"The demo did not start:\n{log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.2)
        yield json.loads(report.read_text())
    finally:
        process.terminate()
        process.wait()


if __name__ == "__main__":
    sys.exit(main())
