"""A door before a push service: lets everything through, or answers in its place as one that is unwell."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum, auto
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import orjson
import requests

FORWARD_SECONDS = 60.0


class Mood(Enum):
    """What the door does with requests. `NOT_READY` answers to `/readyz`, too; the others let it through."""

    OPEN = auto()
    ERROR = auto()
    HANG_UP = auto()
    NOT_READY = auto()


class Door:
    """What comes by, and what is done with it. Safe for threads."""

    def __init__(self, target: int) -> None:
        """`target`: the port behind it."""
        self.target = target
        self.port = 0
        self.mood = Mood.OPEN
        self.refused: Counter[int] = Counter()
        """How often a request with this image was answered in place of the service."""
        self._lock = threading.Lock()

    def note(self, body: bytes) -> None:
        """Remember the images of a request that does not get through."""
        images = [int(image["id"]) for image in orjson.loads(body)["source_images"]]
        with self._lock:
            self.refused.update(images)


class _Handler(BaseHTTPRequestHandler):
    door: ClassVar[Door]

    def do_GET(self) -> None:
        """`/readyz` and `/info`."""
        if self.door.mood is Mood.NOT_READY:
            self._say(503, b"")
        else:
            self._pass_on("GET", b"")

    def do_POST(self) -> None:
        """`/process`."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        mood = self.door.mood
        if mood is Mood.OPEN:
            self._pass_on("POST", body)
            return
        self.door.note(body)
        if mood is not Mood.HANG_UP:
            self._say(500 if mood is Mood.ERROR else 503, b"")

    def _pass_on(self, method: str, body: bytes) -> None:
        try:
            answer = requests.request(
                method, f"http://127.0.0.1:{self.door.target}{self.path}", data=body, timeout=FORWARD_SECONDS
            )
        except requests.RequestException:
            return  # the service broke off, so this does
        self._say(answer.status_code, answer.content)

    def _say(self, status: int, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Who waits for an answer may be killed meanwhile; that is the point here."""


@contextmanager
def door_before(target: int) -> Iterator[Door]:
    """A door before a port of this machine, until the block ends."""
    door = Door(target)
    handler = type("Handler", (_Handler,), {"door": door})
    with _Server(("127.0.0.1", 0), handler) as server:
        door.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), name="door", daemon=True)
        thread.start()
        try:
            yield door
        finally:
            server.shutdown()
            thread.join()
