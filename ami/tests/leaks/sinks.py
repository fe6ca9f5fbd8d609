"""Everything that the server writes for people to read later, caught in one place."""

from __future__ import annotations

import io
import json
from base64 import b64encode
from typing import Any
from urllib.parse import quote

from django.contrib.admin.models import LogEntry

from ami.jobs.models import Attempt, JobLog, JobTask, Notification

NOT_TO_BE_READ = 12
"""Characters of a secret that may not be seen in a row: half a secret helps who guesses the rest."""


class Sinks:
    """Standard error, mail to the administrators, and what the database keeps of events."""

    def __init__(self, stderr: io.StringIO, mails: list[Any]) -> None:
        """`mails`: the outbox of the test."""
        self.stderr = stderr
        self._mails = mails

    def text(self) -> str:
        """All of it. What is quoted in JSON comes twice: as it was written, and without the quoting."""
        written = self.stderr.getvalue()
        mails = [f"{mail.subject}\n{mail.message()}" for mail in self._mails]
        rows = [
            str(list(model.objects.values())) for model in (JobLog, JobTask, Attempt, Notification, LogEntry)
        ]
        return "\n".join([written, *map(_unquoted, written.splitlines()), *mails, *rows])


def spellings(secret: str) -> list[str]:
    """A secret, its beginning, and the ways in which it is written in URLs, headers and programs."""
    encoded = b64encode(secret.encode()).decode().rstrip("=")
    return [
        secret[:-NOT_TO_BE_READ] if len(secret) > 3 * NOT_TO_BE_READ else secret,
        quote(secret, safe=""),
        encoded,
        secret.encode().hex(),
    ]


def _unquoted(line: str) -> str:
    try:
        return str(json.loads(line))
    except ValueError:
        return ""
