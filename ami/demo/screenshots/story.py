"""The way through the pages of docs/tutorial/first-job.md, with a picture at each stop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

DAMAGED = "20260701220000-sheet.jpg"
LEFT_OF_IT = 20_000
"""Bytes: what `head -c 20000` leaves."""

Shoot = Callable[[str, int], None]
"""Takes a picture of the page: its name, and how many pixels from the top."""


@dataclass(frozen=True)
class Story:
    """What happens. `demo`: the report of the demo; `data`: its folder."""

    demo: dict[str, Any]
    data: Path
    page: Page
    shoot: Shoot

    def tell(self) -> None:
        """From the log-in to a job with a failure, its repair, and an export."""
        self._log_in()
        self._click("Projects")
        self._click("Demo")
        self._click("Drawn light sheets")
        self.shoot("captures", 640)

        file = next((self.data / "media").rglob(DAMAGED))
        whole = file.read_bytes()
        file.write_bytes(whole[:LEFT_OF_IT])

        self._click("Start a job with these")
        self.page.get_by_label("Name").fill("The first night")
        self._see("12 captures.")
        self.page.get_by_role("heading", name="Start a job").click()  # away from the field
        self.shoot("start", 870)
        self._press("Start")
        self._see("1 image: The image could not be read")
        self._end_well()
        self.shoot("failed", 900)
        job = self.page.url

        self.page.get_by_role("link", name="Capture ").first.click()
        self._click("← Earlier")
        box = self.page.locator("#boxes a").nth(4)
        box.hover()
        self.shoot("capture", 1000)

        file.write_bytes(whole)
        self.page.goto(job)
        self._press("Retry these")
        self._see("run 2")
        self._end_well()
        self.shoot("done", 640)

        self.page.get_by_text("Export", exact=True).first.click()
        self._press("Export")
        self._see("Download")
        self.shoot("export", 420)

    def _log_in(self) -> None:
        login = self.demo["logins"]["operator"]
        self.page.goto(self.demo["urls"]["start"])
        self._click("Log in")
        self.page.get_by_label("E-mail").fill(login["email"])
        self.page.get_by_label("Password").fill(login["password"])
        self.page.get_by_role("main").get_by_role("button", name="Log in").click()
        self.page.get_by_role("button", name="Log out").wait_for()

    def _click(self, name: str) -> None:
        self.page.get_by_role("link", name=name, exact=True).first.click()

    def _press(self, name: str) -> None:
        self.page.get_by_role("button", name=name, exact=True).first.click()

    def _see(self, words: str) -> None:
        """Wait until words are there."""
        self.page.get_by_text(words).first.wait_for()

    def _end_well(self) -> None:
        """Wait until the job on the page has ended."""
        self.page.locator(".status", has_text="Success").wait_for()
