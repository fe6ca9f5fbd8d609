"""Requests to the JetStream API: JSON out, JSON back, the server's refusals turned into our errors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

import orjson
from nats.errors import NoRespondersError

from ami.taskqueue.client import Connection
from ami.taskqueue.errors import QueueBusy, QueueError, QueueMissing

_PREFIX = "$JS.API"
_LONGER_THAN_ANY_CALL = 3600.0  # `Connection.limit` ends the wait

_NOT_FOUND = 404
_SERVER_SIDE = 500


async def request(connection: Connection, call: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Send one API call such as `STREAM.INFO.job_12` and return its answer.

    Raises QueueMissing (no such stream or consumer), QueueBusy (full, starting, no leader), and QueueError
    for every other refusal.
    """
    payload = b"" if body is None else orjson.dumps(body)
    try:
        reply = await connection.client.request(f"{_PREFIX}.{call}", payload, timeout=_LONGER_THAN_ANY_CALL)
    except NoRespondersError as error:
        raise QueueBusy("JetStream is not ready, or not enabled, on the NATS server.") from error
    answer: dict[str, Any] = orjson.loads(reply.data)
    if "error" in answer:
        raise_refusal(answer["error"])
    return answer


def raise_refusal(error: Mapping[str, Any]) -> NoReturn:
    """Raise what an `error` object in an answer or publish confirmation means."""
    code = int(error.get("code", _SERVER_SIDE))
    reason = error.get("description", "no reason given")
    text = f"NATS refused: {reason} (code {error.get('err_code', code)})."
    if code == _NOT_FOUND:
        raise QueueMissing(text)
    if code >= _SERVER_SIDE:
        raise QueueBusy(text)
    raise QueueError(text)
