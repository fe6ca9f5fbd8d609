"""How the demo's job ended and where to look next: for people on the screen, for scripts as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ami.demo.client import JobView
from ami.demo.credentials import Accounts, Credentials, write_private
from ami.demo.findings import Failure
from ami.demo.screen import COLOURS, Screen

FAILURES_SHOWN = 10


@dataclass(frozen=True)
class Report:
    """Everything about one run of the demo."""

    job: JobView
    failures: Sequence[Failure]
    left_out: Sequence[tuple[str, str]]
    """File and reason: what could not even become a capture."""
    pictures: Sequence[Path]
    addresses: Mapping[str, str]
    credentials: Credentials
    accounts: Accounts
    tokens: Mapping[str, str]
    ids: Mapping[str, int]
    pipeline: str
    logs: Path

    @property
    def succeeded(self) -> bool:
        """Whether the job ended well."""
        return self.job.status == "SUCCESS"

    @property
    def counters(self) -> dict[str, int]:
        """The job's final numbers; processed are those without the failed ones."""
        captures, failed = self.job.figure("collect", "total_images"), self.job.figure("process", "failed")
        return {
            "captures": captures,
            "processed": self.job.figure("process", "processed") - failed,
            "failed": failed,
            "detections": self.job.figure("results", "detections"),
            "classifications": self.job.figure("results", "classifications"),
        }

    @property
    def logins(self) -> dict[str, dict[str, str]]:
        """E-mail addresses and passwords by role."""
        return {
            "admin": {"email": self.accounts.admin, "password": self.credentials.admin_password},
            "operator": {"email": self.accounts.operator, "password": self.credentials.operator_password},
        }

    def write_json(self, file: Path) -> None:
        """Everything, for scripts; holds passwords and tokens, so only its owner may read it."""
        content: dict[str, Any] = {
            "job": {"id": self.job.id, "status": self.job.status, "seconds": self.job.seconds}
            | self.counters,
            "failures": [asdict(failure) for failure in self.failures],
            "left_out": [{"file": name, "reason": reason} for name, reason in self.left_out],
            "urls": dict(self.addresses),
            "logins": self.logins,
            "tokens": dict(self.tokens),
            "ids": dict(self.ids),
            "pipeline": self.pipeline,
            "pictures": [str(path) for path in self.pictures],
            "logs": str(self.logs),
        }
        write_private(file, json.dumps(content, indent=2, ensure_ascii=False) + "\n")

    def show(self, screen: Screen) -> None:
        """Everything, for people."""
        self._show_outcome(screen)
        logins = self.logins
        screen.say()
        rows = [
            ("Pages", self.addresses["start"]),
            ("Captures", self.addresses["captures"]),
            ("API docs", self.addresses["docs"]),
            ("Admin", self.addresses["admin"]),
            ("  login", f"{logins['admin']['email']}  {logins['admin']['password']}"),
            ("Operator", f"{logins['operator']['email']}  {logins['operator']['password']}"),
            ("Logs", str(self.logs)),
        ]
        if self.pictures:
            rows.insert(0, ("Pictures", f"{self.pictures[0].parent} ({len(self.pictures)})"))
        screen.table(rows)

    def _show_outcome(self, screen: Screen) -> None:
        job, counters = self.job, self.counters
        seconds = f" after {job.seconds:.1f} s" if job.seconds is not None else ""
        numbers = ", ".join(f"{number} {word}" for word, number in counters.items() if word != "captures")
        colour = COLOURS.get(job.status, "default")
        screen.say(f"\n[bold {colour}]{job.status}[/]{seconds}: {numbers}")
        for failure in self.failures[:FAILURES_SHOWN]:
            screen.item("failed", f"{failure.capture}: {failure.reason or failure.meaning}", "red")
        if (more := len(self.failures) - FAILURES_SHOWN) > 0:
            screen.say(f"  and {more} more; --json FILE lists them all")
        for name, reason in self.left_out[:FAILURES_SHOWN]:
            screen.item("left out", f"{name}: {reason}", "yellow")
