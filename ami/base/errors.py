"""The error tree that every part of AMI shares.

An expected error is raised where it is noticed and translated once: by the API into a status code and a
sentence, by a task into "try again" or "give up". The class docstring is the default sentence.
"""

from __future__ import annotations

from typing import Any, ClassVar


class AmiError(Exception):
    """Something went wrong that AMI knows about."""

    code: ClassVar[str] = "error"
    permanent: ClassVar[bool] = True
    """Whether repeating the very same call can never succeed."""
    http_status: ClassVar[int] = 400

    def __init__(self, message: str | None = None, **context: Any) -> None:
        """Take the sentence for people, and the ids that a log line wants as keyword arguments."""
        self.message = message or (type(self).__doc__ or "").strip().splitlines()[0]
        self.context = context
        super().__init__(self.message)


class InvalidInput(AmiError):
    """The request cannot be carried out as it was sent."""

    code = "invalid"


class TemporarilyUnavailable(AmiError):
    """A part of the system does not answer right now; try again shortly."""

    code = "unavailable"
    permanent = False
    http_status = 503

    def __init__(self, message: str | None = None, *, retry_after: float = 2.0, **context: Any) -> None:
        """`retry_after`: seconds after which a client may sensibly try again."""
        super().__init__(message, **context)
        self.retry_after = retry_after
