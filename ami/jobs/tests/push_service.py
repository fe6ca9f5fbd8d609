"""A push service as part B section 7 of the contract records it, on loopback; it can also behave badly."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import orjson

BOXES = 2


class PushService:
    """What the service was asked, and how it is to behave. `slug`: the pipeline that it offers."""

    def __init__(self, slug: str) -> None:
        """Every image is processed, at once, with `BOXES` boxes."""
        self.slug = slug
        self.url = ""
        self.ready = True
        self.classifier = "classifier"
        self.bad: dict[int, str] = {}
        """Image → what it does to the request that it is in: `crash`, `refuse`, `busy`, `hang`, `hang up`,
        `garbage`; or to its own result alone: `omit`, `complain`, `nothing`, `alien`."""
        self.requests: list[list[int]] = []
        """The images of each request, as they came."""
        self.bodies: list[dict[str, Any]] = []
        self.at_once = 0
        self.most_at_once = 0
        self.hold = threading.Event()
        """While it is not set, requests wait."""
        self.hold.set()
        self.came = threading.Semaphore(0)
        """Released by each request that comes in."""
        self.over = threading.Event()
        self._lock = threading.Lock()

    def asked_for(self) -> Counter[int]:
        """How often each image was asked for."""
        return Counter(image for request in self.requests for image in request)

    def answer(self, body: bytes) -> tuple[int, bytes] | None:
        """Status and content of the answer to `/process`; None: the connection breaks off."""
        request = orjson.loads(body)
        images = [int(image["id"]) for image in request["source_images"]]
        with self._lock:
            self.bodies.append(request)
            self.requests.append(images)
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        self.came.release()
        self.hold.wait(10)
        try:
            return self._answer(request, images)
        finally:
            with self._lock:
                self.at_once -= 1

    def _answer(self, request: dict[str, Any], images: list[int]) -> tuple[int, bytes] | None:
        if "config" not in request or request["config"] is None:
            detail = [{"type": "missing", "loc": ["body", "config"], "msg": "Field required"}]
            return 422, orjson.dumps({"detail": detail})
        if request["pipeline"] != self.slug:
            return 422, orjson.dumps({"detail": f"Invalid pipeline choice: {request['pipeline']}"})
        moods = {self.bad[image] for image in images if image in self.bad}
        if "hang" in moods:
            self.over.wait(10)
        if moods & {"hang up", "hang"}:
            return None
        if "busy" in moods:
            return 503, b"Service Unavailable"
        if "crash" in moods:
            return 500, b"Internal Server Error"
        if "refuse" in moods:
            return 422, b'{"detail":"The image is not a photograph."}'
        if "garbage" in moods:
            return 200, b'{"pipeline":"x"}'
        return 200, orjson.dumps(self._result(request))

    def _result(self, request: dict[str, Any]) -> dict[str, Any]:
        images = [image for image in request["source_images"] if self.bad.get(int(image["id"])) != "omit"]
        complaints = [image for image in images if self.bad.get(int(image["id"])) == "complain"]
        result: dict[str, Any] = {
            "pipeline": self.slug,
            "total_time": 0.002,
            "algorithms": {},
            "source_images": images,
            "detections": [
                self._box(image, number)
                for image in images
                if self.bad.get(int(image["id"])) not in ("nothing", "complain")
                for number in range(BOXES)
            ],
        }
        if complaints:
            result["errors"] = [{"image_id": image["id"], "error": "Too dark."} for image in complaints]
        return result

    def _box(self, image: dict[str, Any], number: int) -> dict[str, Any]:
        alien = self.bad.get(int(image["id"])) == "alien"
        return {
            "source_image_id": image["id"],
            "bbox": {"x1": 10.0 * number, "y1": 5.0, "x2": 10.0 * number + 8, "y2": 9.0},
            "inference_time": 0.01,
            "algorithm": {"name": "Detector", "key": "another" if alien else "detector"},
            "timestamp": "2026-11-21T22:20:18.356286",
            "crop_image_url": None,
            "classifications": [
                {
                    "classification": "moth",
                    "labels": ["moth", "beetle"],
                    "scores": [0.9, 0.1],
                    "logits": [],
                    "inference_time": None,
                    "algorithm": {"name": "Classifier", "key": self.classifier},
                    "terminal": True,
                    "timestamp": "2026-11-21T22:20:18.356263",
                }
            ],
        }


class _Handler(BaseHTTPRequestHandler):
    service: ClassVar[PushService]

    def do_GET(self) -> None:
        """`/readyz`; everything else is not found."""
        slugs = [self.service.slug] if self.service.ready else []
        if self.path == "/readyz":
            self._say(200 if slugs else 503, orjson.dumps({"status": slugs}))
        else:
            self._say(404, b'{"detail":"Not Found"}')

    def do_POST(self) -> None:
        """`/process`."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        answer = self.service.answer(body) if self.path == "/process" else (404, b"")
        if answer is not None:
            self._say(*answer)

    def _say(self, status: int, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@contextmanager
def push_service(slug: str) -> Iterator[PushService]:
    """Serve on 127.0.0.1 while the block lasts."""
    service = PushService(slug)

    class Handler(_Handler):
        pass

    Handler.service = service
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        server.handle_error = lambda *_: None  # type: ignore[method-assign] # the other side may hang up
        service.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield service
        finally:
            service.over.set()
            service.hold.set()
            server.shutdown()
            thread.join()
