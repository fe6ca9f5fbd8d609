"""What can go wrong when the server calls another one.

The sentences name the host as the operator typed it, never an address that it led to, nor a word of what came
back: who may type URLs must not learn from errors what our network looks like inside.
"""

from __future__ import annotations

from ami.base.errors import AmiError


class OutgoingError(AmiError):
    """The other server could not be asked."""

    code = "outgoing_failed"
    permanent = False
    http_status = 502


class AddressRefused(OutgoingError):
    """This server does not call that address."""

    code = "address_refused"
    permanent = True
    http_status = 400


class ServiceUnreachable(OutgoingError):
    """No connection to the other server could be made, or it broke off."""

    code = "service_unreachable"


class NotConnected(ServiceUnreachable):
    """No connection to the other server could be made, so it heard nothing."""


class ServiceTimedOut(OutgoingError):
    """The other server did not answer in time."""

    code = "service_timed_out"
    http_status = 504


class AnswerTooLarge(OutgoingError):
    """The answer of the other server was too large."""

    code = "answer_too_large"
    permanent = True


class AnswerNotUnderstood(OutgoingError):
    """The answer of the other server was not understood."""

    code = "answer_not_understood"
    permanent = True


class BadStatus(OutgoingError):
    """The other server refused, or sent us elsewhere."""

    code = "bad_status"

    def __init__(self, message: str | None = None, *, status: int, **context: object) -> None:
        """`status`: the HTTP status of the answer. What is not a 5xx would be the same next time."""
        super().__init__(message, **context)
        self.status = status
        self.permanent = status < 500  # type: ignore[misc] # of this error, where others have it of their class
