"""The way through the pages of docs/tutorial/first-job.md, with a picture at each stop."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ami.demo.screenshots.visitor import Visitor

DAMAGED = "20260701220000-sheet.jpg"
LEFT_OF_IT = 20_000
"""Bytes: what `head -c 20000` leaves, as if the card of the camera were pulled out while it wrote."""
ENDED = "data-ended"

Shoot = Callable[[str, str, int], None]
"""Takes a picture: its name, the path of the page, and how many pixels of the page to show."""


@dataclass(frozen=True)
class Story:
    """What happens; `demo` is the report of the demo, `data` its folder."""

    demo: dict[str, Any]
    data: Path
    visitor: Visitor
    shoot: Shoot

    def tell(self) -> None:
        """From the finished job of the demo to a job with a failure, its repair, and an export."""
        capture_set, project = self.demo["ids"]["capture_set"], self.demo["ids"]["project"]
        self.shoot("captures", f"/sets/{capture_set}/", 640)
        file = next((self.data / "media").rglob(DAMAGED))
        whole = file.read_bytes()
        file.write_bytes(whole[:LEFT_OF_IT])

        form = f"/projects/{project}/start/?set={capture_set}"
        self.shoot("start", form, 860)
        job = self.visitor.press(form, form, self._choices(form))
        page = self.visitor.wait_for(job, ENDED)
        self.shoot("failed", job, 900)

        (capture,) = set(re.findall(r"/captures/(\d+)/", page))
        self.shoot("capture", f"/captures/{int(capture) - 1}/", 1000)

        file.write_bytes(whole)
        (code,) = re.findall(r'name="code" value="(\w+)"', page)
        self.visitor.press(job, f"{job}retry-failed/", {"code": code})
        self.visitor.wait_for(job, ENDED)
        self.shoot("done", job, 640)

        export = self.visitor.press(
            job, f"/projects/{project}/exports/", {"format": "csv", "job": job.split("/")[2]}
        )
        self.visitor.wait_for(export, "Download")
        self.shoot("export", export, 420)

    def _choices(self, form: str) -> dict[str, str]:
        """What the form has chosen already."""
        page = self.visitor.read(form)
        chosen = re.findall(r'<select name="(\w+)".*?<option value="(\d*)" selected', page, re.DOTALL)
        return {**dict(chosen), "name": "The first night"}
