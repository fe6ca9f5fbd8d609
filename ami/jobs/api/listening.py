"""Whether the client of a request still listens: one that died while it waited must not be handed tasks."""

from __future__ import annotations

import select
import socket
from collections.abc import Mapping
from typing import Any


def still_listens(meta: Mapping[str, Any]) -> bool:
    """False if the client closed its connection, as far as the web server shows its socket (gunicorn does).

    A client that has sent its request says nothing more until it is answered: something to read is the end.
    """
    connection = meta.get("gunicorn.socket")
    if not isinstance(connection, socket.socket):
        return True
    try:
        readable, _, _ = select.select([connection], [], [], 0)
        return not readable or bool(connection.recv(1, socket.MSG_PEEK))
    except (OSError, ValueError):
        return False
