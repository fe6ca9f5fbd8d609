"""Takes pictures of pages with the Chromium of this machine.

Headless Chromium knows no cookies on its command line, so it is led through a small server of our own that
adds the cookies of somebody who has logged in.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory

import requests
from PIL import Image

from ami.demo.errors import DemoError

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
SECONDS = 60
SETTLE_MILLISECONDS = 3_000
"""Of the page's own clock: scripts fetch what belongs to the page."""
COLOURS = 128
"""The pages have few; pictures of captures lose nothing that the eye misses."""
LARGEST = 150_000
"""Bytes of a picture: the repository keeps every version of each."""
PASSED_ON = ("Content-Type", "Content-Security-Policy", "Cache-Control")


def find_chromium() -> str:
    """The program; raises DemoError with what to install if there is none."""
    names = (os.environ.get("CHROMIUM", ""), *NAMES)
    for name in filter(None, names):
        if found := shutil.which(name):
            return found
    raise DemoError(
        "Chromium is missing. Install it (on Debian and Ubuntu: apt install chromium), "
        "or set CHROMIUM to its path."
    )


def take(chromium: str, url: str, target: Path, *, width: int, height: int) -> None:
    """Write a picture of the page; raises DemoError if that fails, or if the picture is too large."""
    with TemporaryDirectory() as folder:
        raw = Path(folder) / "page.png"
        command = [
            chromium,
            *("--headless", "--disable-gpu", "--no-first-run", "--disable-background-networking"),
            *("--hide-scrollbars", "--force-device-scale-factor=1", f"--user-data-dir={folder}/profile"),
            *(f"--window-size={width},{height}", f"--virtual-time-budget={SETTLE_MILLISECONDS}"),
            *(["--no-sandbox"] if os.geteuid() == 0 else []),  # it refuses to have one as root
            f"--screenshot={raw}",
            url,
        ]
        try:
            done = subprocess.run(  # noqa: S603 - our own arguments
                command, capture_output=True, text=True, timeout=SECONDS, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise DemoError(f"Chromium took more than {SECONDS} s for {url}.") from error
        if not raw.exists():
            raise DemoError(f"Chromium took no picture of {url}: {done.stderr[-500:]}")
        with Image.open(raw) as picture:
            # Most different colours, not most frequent ones: boxes are thin, and the sheet has many greys.
            small = picture.convert("RGB").quantize(
                COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE
            )
            small.save(target, optimize=True)
    if (size := target.stat().st_size) > LARGEST:
        raise DemoError(f"{target.name} has {size:,} bytes, more than {LARGEST:,}. Show less of the page.")


@contextmanager
def logged_in(url: str, cookies: Mapping[str, str]) -> Iterator[str]:
    """An address that shows what `url` shows to whoever has these cookies; for reading only."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer = requests.get(
                url + self.path,
                # The host, so that links lead back here; the others are how scripts of the page ask.
                headers={
                    name: value
                    for name, value in self.headers.items()
                    if name == "Host" or name.startswith("HX-")
                },
                cookies=dict(cookies),
                timeout=SECONDS,
            )
            self.send_response(answer.status_code)
            for name in PASSED_ON:
                if name in answer.headers:
                    self.send_header(name, answer.headers[name])
            self.send_header("Content-Length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        def log_message(self, *_: object) -> None:
            """Nothing: the pictures are what people want to see."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
