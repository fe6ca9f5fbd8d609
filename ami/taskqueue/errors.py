"""What can go wrong in the queue layer, in words that callers act on.

`QueueUnavailable` means "come back shortly" (503), `QueueMissing` means "dispatch must rebuild it", and
`InvalidLease` means "the client sent something that we never handed out".
"""

from __future__ import annotations

from ami.base.errors import AmiError, TemporarilyUnavailable


class QueueError(AmiError):
    """The task queue refused the operation."""

    code = "queue_error"
    http_status = 503


class QueueUnavailable(QueueError, TemporarilyUnavailable):
    """The task queue does not answer right now; try again shortly."""

    code = "queue_unavailable"
    permanent = False


class ConnectionLost(QueueUnavailable):
    """The connection to the task queue is down; it reconnects by itself, try again shortly."""


class QueueBusy(QueueUnavailable):
    """The task queue answered that it cannot serve this now (full, starting, or without a leader)."""


class QueueMissing(QueueError):
    """The stream or consumer of this job does not exist; dispatch has to create it again."""

    code = "queue_missing"
    permanent = False


class InvalidLease(QueueError):
    """This is not a lease token that the platform handed out for this job."""

    code = "invalid_lease"
    http_status = 400


class PendingStateUnavailable(TemporarilyUnavailable):
    """The pending sets in Redis cannot be reached right now; try again shortly."""

    code = "pending_state_unavailable"
