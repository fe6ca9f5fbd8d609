"""Small servers on loopback: one that only listens, one that speaks HTTP, one that misbehaves."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

Talk = Callable[[socket.socket, threading.Event], None]
Reply = tuple[int, dict[str, str], bytes]
"""Status, headers, body."""


@dataclass
class Listener:
    """Sockets on one port that would take any connection."""

    port: int
    sockets: list[socket.socket]

    def saw_something(self) -> bool:
        """Whether anybody connected."""
        for listening in self.sockets:
            with suppress(BlockingIOError):
                listening.accept()[0].close()
                return True
        return False


@contextmanager
def listener() -> Iterator[Listener]:
    """Listen on every address of this machine."""
    everywhere = socket.create_server(("0.0.0.0", 0))
    port = everywhere.getsockname()[1]
    sockets = [everywhere]
    with suppress(OSError):
        sockets.append(socket.create_server(("::1", port), family=socket.AF_INET6))
    for listening in sockets:
        listening.setblocking(False)
    try:
        yield Listener(port, sockets)
    finally:
        for listening in sockets:
            listening.close()


@dataclass
class Service:
    """An HTTP server that answers by path and remembers what it was asked."""

    url: str
    port: int
    replies: dict[str, Reply] = field(default_factory=dict)
    asked: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)
    """Method, path, headers, body."""


class _Handler(BaseHTTPRequestHandler):
    service: ClassVar[Service]

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.service.asked.append((self.command, self.path, dict(self.headers), body))
        status, headers, content = self.service.replies.get(self.path, (404, {}, b"no"))
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    do_POST = do_GET  # noqa: N815 - the library's name

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@contextmanager
def http_service(context: ssl.SSLContext | None = None) -> Iterator[Service]:
    """Serve on 127.0.0.1; with a context over TLS."""

    class Handler(_Handler):
        pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        port = server.server_port
        service = Handler.service = Service(f"http://127.0.0.1:{port}", port)
        if context is not None:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        server.handle_error = lambda *_: None  # type: ignore[method-assign] # refused certificates are meant to be
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield service
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def rude_server(talk: Talk) -> Iterator[tuple[str, threading.Event]]:
    """A server that reads one request and does what `talk` says; its URL, and the event that we hung up.

    `talk` ends when the event of the end of the test is set, or with an OSError when the other side is gone.
    """
    over, gone = threading.Event(), threading.Event()

    def serve() -> None:
        with suppress(OSError):
            connection, _ = listening.accept()
            with connection:
                connection.recv(65536)
                try:
                    talk(connection, over)
                except OSError:
                    gone.set()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}/", gone
        finally:
            over.set()
            with suppress(OSError):
                listening.shutdown(socket.SHUT_RDWR)
            thread.join()


def says_nothing(_connection: socket.socket, over: threading.Event) -> None:
    """Keep the other side waiting (a way to `talk`)."""
    over.wait(10)
