"""Where workers download the captures of chaos: one small picture, whatever is asked for."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO

from PIL import Image

SIZE = (64, 48)
"""Width and height in pixels; the boxes of `ami.chaos.pipeline` lie inside."""


def _jpeg() -> bytes:
    file = BytesIO()
    Image.new("RGB", SIZE, (200, 200, 180)).save(file, format="JPEG")
    return file.getvalue()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    picture = _jpeg()

    def do_GET(self) -> None:
        """The picture."""
        self.send_response(200)
        self.send_header("Content-Type", "image/jpeg")
        self.send_header("Content-Length", str(len(self.picture)))
        self.end_headers()
        self.wfile.write(self.picture)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Workers that are killed break their connections; that is the point here."""


@contextmanager
def picture_server() -> Iterator[str]:
    """Serves until the block ends; yields the address of the folder with all pictures."""
    with _Server(("127.0.0.1", 0), _Handler) as server:
        thread = threading.Thread(target=server.serve_forever, name="pictures", daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()
