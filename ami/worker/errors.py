"""What can go wrong between a worker and its server, each with a sentence that says what to do."""

from __future__ import annotations

from typing import ClassVar


class WorkerError(Exception):
    """Something went wrong that the worker knows about."""

    temporary: ClassVar[bool] = False
    """Whether the same call may succeed a little later."""

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        """`retry_after`: seconds after which the server asks to be called again."""
        super().__init__(message)
        self.retry_after = retry_after


class BadAddress(WorkerError):
    """The address of the server cannot be one."""


class Unreachable(WorkerError):
    """The server could not be reached; it has not seen the request."""

    temporary = True


class AnswerLost(WorkerError):
    """The request was sent, but no answer came: the server may have acted on it."""

    temporary = True


class ServerBusy(WorkerError):
    """The server says that it cannot do this right now; it has done nothing."""

    temporary = True


class ServerFailed(WorkerError):
    """The server, or something before it, broke over the request: it may have acted on it."""

    temporary = True


class NotAuthorised(WorkerError):
    """The token is missing or wrong."""


class NotAllowed(WorkerError):
    """The token is right, but not for this."""


class NotFound(WorkerError):
    """There is no such thing on the server."""


class RequestRefused(WorkerError):
    """The server does not accept what was sent."""


class UnexpectedAnswer(WorkerError):
    """The answer is not what an AMI server says."""


class ImageUnavailable(WorkerError):
    """The image cannot be had right now."""

    temporary = True


class ImageUnusable(WorkerError):
    """The image will never be usable: it is missing, damaged or too large."""


class PipelineNotLoaded(WorkerError):
    """The pipeline that was named cannot be loaded."""
