"""The Chromium of this machine, and what becomes of its pictures."""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image
from playwright.sync_api import Error, Page, sync_playwright

from ami.demo.errors import DemoError

NAMES = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = ("--disable-gpu", "--disable-background-networking", "--disable-component-update")
WIDTH, HEIGHT = 1000, 800
PATIENCE_MS = 30_000
SETTLE_MS = 800
"""Bars glide to their new length."""
PALETTES = (
    (256, Image.Quantize.MEDIANCUT),
    (256, Image.Quantize.FASTOCTREE),
    (128, Image.Quantize.FASTOCTREE),
)
"""Colours, and how they are chosen: the first that makes a file small enough is taken."""
LARGEST = 150_000
"""Bytes of a picture: the repository keeps every version of each."""


def find_chromium() -> str:
    """The program; raises DemoError with what to install if there is none."""
    for name in filter(None, (os.environ.get("CHROMIUM"), *NAMES)):
        if found := shutil.which(name):
            return found
    raise DemoError(
        "Chromium is missing. Install it (on Debian and Ubuntu: apt install chromium), "
        "or set CHROMIUM to its path."
    )


@contextmanager
def window(chromium: str) -> Iterator[Page]:
    """A page of a browser without a window; what goes wrong in it is a DemoError."""
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []  # root can have none
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=[*ARGUMENTS, *sandbox])
            page = browser.new_page(
                viewport={"width": WIDTH, "height": HEIGHT}, locale="en-GB", timezone_id="UTC"
            )
            page.set_default_timeout(PATIENCE_MS)
            yield page
            browser.close()
    except Error as error:
        raise DemoError(f"The browser found something else than the story says: {error.message}") from error


def take(page: Page, target: Path, height: int) -> None:
    """Keep the upper `height` pixels of the page as a small picture; raises DemoError if it is not small."""
    page.set_viewport_size({"width": WIDTH, "height": height})
    page.evaluate("window.scrollTo(0, 0)")
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(SETTLE_MS)
    with Image.open(io.BytesIO(page.screenshot())) as picture:
        pixels = picture.convert("RGB")
    for colours, method in PALETTES:
        pixels.quantize(colours, method, dither=Image.Dither.NONE).save(target, optimize=True)
        if target.stat().st_size <= LARGEST:
            return
    raise DemoError(f"{target.name} is larger than {LARGEST:,} bytes. Show less of the page.")
