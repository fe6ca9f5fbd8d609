"""A browser that looks at the pages of a running platform, and complains about what a person would."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

NARROW, WIDE = (380, 800), (1600, 1000)
PATIENCE_MS = 30_000
NAMES = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
"""A browser of a test asks nobody but the platform; it may run as root."""
NO_CHROMIUM = (
    "There is no Chromium on this machine: install Debian's package chromium, or set CHROMIUM to its path."
)


def find_chromium() -> str | None:
    """Path of the system's Chromium, or what CHROMIUM names; None if there is none."""
    named = os.environ.get("CHROMIUM")
    found = [named] if named else [shutil.which(name) for name in NAMES]
    return next((path for path in found if path), None)


class Visitor:
    """One person with a window. What the console complains of is kept in `complaints`."""

    def __init__(self, browser: Browser, base: str, pictures: Path) -> None:
        """`base`: address of the platform; `pictures`: where screenshots go."""
        self.base = base
        self._pictures = pictures
        self.complaints: list[str] = []
        self.page: Page = browser.new_page(viewport={"width": WIDE[0], "height": WIDE[1]})
        self.page.set_default_timeout(PATIENCE_MS)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", self._heard)

    def _heard(self, message: Any) -> None:
        if message.type == "error":
            self.complaints.append(f"{message.text} ({self.page.url})")

    def go(self, path: str) -> None:
        """Open an address of the platform."""
        answer = self.page.goto(self.base + path)
        assert answer is not None
        assert answer.ok, f"{path}: {answer.status}"

    def log_in(self, email: str, password: str) -> None:
        """Over the form, as a person does."""
        self.go("/login/")
        self.page.get_by_label("E-mail").fill(email)
        self.page.get_by_label("Password").fill(password)
        self.page.get_by_role("main").get_by_role("button", name="Log in").click()
        self.page.get_by_role("button", name="Log out").wait_for()

    def click(self, name: str, role: Any = "link") -> None:
        """Click on what is called so."""
        self.page.get_by_role(role, name=name, exact=True).first.click()

    def see(self, words: str) -> None:
        """Wait until these words stand on the page."""
        self.page.get_by_text(words).first.wait_for()

    def look(self, name: str) -> None:
        """Keep pictures of the page, narrow and wide; it must not be wider than the window."""
        for width, height in (NARROW, WIDE):
            self.page.set_viewport_size({"width": width, "height": height})
            self.page.screenshot(path=self._pictures / f"{name}-{width}.png", full_page=True)
            over = self.page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
            assert over <= 0, f"{self.page.url} is {over} pixels wider than a window of {width}"

    def barriers(self, scheme: Any) -> Sequence[str]:
        """What axe-core finds on the page that keeps somebody out, in the light or dark colours."""
        self.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        found = Axe().run(self.page).response["violations"]
        return [
            f"{each['id']}: {each['help']} ({', '.join(node['html'][:120] for node in each['nodes'][:3])})"
            for each in found
            if each["impact"] in {"serious", "critical"}
        ]
