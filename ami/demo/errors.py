"""What ends the demo; the message says what to do about it."""

from __future__ import annotations

from typing import ClassVar


class DemoError(Exception):
    """The demo cannot go on."""

    exit_code: ClassVar[int] = 1


class WrongUse(DemoError):
    """What was asked for on the command line makes no sense."""

    exit_code: ClassVar[int] = 2
