"""503 in the words of the worker endpoints, when a server behind them is silent."""

from __future__ import annotations

import math

from rest_framework.response import Response

from ami.base.errors import TemporarilyUnavailable
from ami.taskqueue import QueueUnavailable


def try_again(error: TemporarilyUnavailable, body: dict[str, object]) -> Response:
    """The body with the error's code, and a `Retry-After` of at least one second."""
    wait = str(max(1, math.ceil(error.retry_after)))
    return Response(body | {"code": error.code}, status=503, headers={"Retry-After": wait})


def queue_silent(error: QueueUnavailable) -> Response:
    """No tasks can be taken now."""
    return try_again(error, {"error": "Task queue temporarily unavailable", "detail": error.message})
