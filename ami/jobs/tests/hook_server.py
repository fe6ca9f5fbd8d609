"""Somebody's server that takes webhooks, on loopback, and checks them as its makers would."""

from __future__ import annotations

import hmac
import threading
from base64 import b64decode, b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import orjson


@dataclass
class HookServer:
    """What came in. `statuses`: what the next answers are; then 204."""

    url: str = ""
    statuses: list[int] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    bodies: list[dict[str, Any]] = field(default_factory=list)
    signed: list[tuple[str, str, bytes, str]] = field(default_factory=list)

    def verifies(self, secret: str) -> bool:
        """Whether everything that came was signed with this secret."""
        key = b64decode(secret.removeprefix("whsec_"))
        return all(
            signature
            == "v1," + b64encode(hmac.digest(key, f"{key_id}.{at}.".encode() + body, sha256)).decode()
            for key_id, at, body, signature in self.signed
        )


@contextmanager
def hook_server() -> Iterator[HookServer]:
    """Runs until the block ends."""
    it = HookServer()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            names = ("webhook-id", "webhook-timestamp", "webhook-signature")
            key_id, at, signature = (self.headers[name] for name in names)
            it.ids.append(key_id)
            it.bodies.append(orjson.loads(body))
            it.signed.append((key_id, at, body, signature))
            self.send_response(it.statuses.pop(0) if it.statuses else 204)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    it.url = f"http://127.0.0.1:{server.server_port}/hooks/ami-secret-path"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield it
    finally:
        server.shutdown()
        server.server_close()
