"""A small real HTTP server that answers a worker as the contract says, for the tests of this package.

It keeps jobs, leases tasks, takes results and serves images over a socket. Tests script its failures.
"""

from __future__ import annotations

import io
import json
import re
import sys
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from PIL import Image

TOKEN = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Request:
    """One request as it arrived."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: Any


@dataclass
class Failure:
    """What to answer instead, to requests whose path matches."""

    path: str
    status: int | None
    """None: read the request, then break the connection without an answer."""
    times: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b'{"detail":"scripted"}'
    after_effect: bool = False
    """Break off only after the request has had its effect."""


class ContractServer:
    """The state behind the socket."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.requests: list[Request] = []
        self.failures: list[Failure] = []
        self.images: dict[str, bytes] = {}
        self.jobs: dict[int, str] = {}
        self.pending: dict[int, deque[str]] = {}
        self.leases: dict[str, tuple[int, str]] = {}
        self.results: dict[int, dict[str, dict[str, Any]]] = {}
        self.registered: list[Any] = []
        self.lease_seconds: float | None = None
        self.base = ""

    def add_job(self, job_id: int, slug: str, images: dict[str, bytes]) -> None:
        """A started job over these images (id to file)."""
        with self.lock:
            self.images |= images
            self.jobs[job_id] = slug
            self.pending[job_id] = deque(images)
            self.results[job_id] = {}

    def fail(self, path: str, status: int | None, *, times: int = 1, **options: Any) -> None:
        """Answer the next `times` requests whose path matches with `status`."""
        with self.lock:
            self.failures.append(Failure(path, status, times, **options))

    def seen(self, path: str) -> list[Request]:
        """All requests whose path matches, in order of arrival."""
        with self.lock:
            return [request for request in self.requests if re.fullmatch(path, request.path)]

    def result(self, job_id: int, image_id: str) -> dict[str, Any]:
        """What was accepted for an image."""
        with self.lock:
            return self.results[job_id][image_id]


def image_file(colour: str = "white", size: tuple[int, int] = (64, 48)) -> bytes:
    """A small PNG."""
    buffer = io.BytesIO()
    Image.new("RGB", size, colour).save(buffer, "PNG")
    return buffer.getvalue()


@contextmanager
def running_server() -> Iterator[ContractServer]:
    """A server on a free port of this machine."""
    state = ContractServer()

    class Handler(_Handler):
        server_state = state

    server = _Server(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    state.base = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up early is part of some tests; everything else is printed."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # headers and body in one packet: two of them wait 40 ms for each other
    server_state: ContractServer

    def do_GET(self) -> None:
        self._handle()

    def do_POST(self) -> None:
        self._handle()

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""

    def _handle(self) -> None:
        parts = urlsplit(self.path)
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = json.loads(raw) if raw else None
        state = self.server_state
        request = Request(self.command, parts.path, parse_qs(parts.query), dict(self.headers), body)
        with state.lock:
            state.requests.append(request)
            failure = self._scripted(state, parts.path)
        if failure is not None:
            if failure.after_effect:
                self._answer_for(state, request)
            if failure.status is None:
                self.close_connection = True
                return
            self._send(failure.status, failure.body, failure.headers)
            return
        status, answer = self._answer_for(state, request)
        if isinstance(answer, bytes):
            self._send(status, answer, {"Content-Type": "image/png"})
        else:
            self._send(status, json.dumps(answer).encode(), {"Content-Type": "application/json"})

    @staticmethod
    def _scripted(state: ContractServer, path: str) -> Failure | None:
        for failure in state.failures:
            if failure.times > 0 and re.fullmatch(failure.path, path):
                failure.times -= 1
                return failure
        return None

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _answer_for(self, state: ContractServer, request: Request) -> tuple[int, Any]:
        if match := re.fullmatch(r"/images/(.+)", request.path):
            data = state.images.get(match[1])
            return (404, {"detail": "Not found."}) if data is None else (200, data)
        if request.headers.get("Authorization") != f"Token {TOKEN}":
            return 401, {"detail": "Invalid token."}
        with state.lock:
            if request.path == "/api/v2/jobs/":
                return 200, _jobs(state, request)
            if request.path == "/api/v2/projects/":
                return 200, {"count": 1, "results": [{"id": 7, "name": "Panama", "draft": False}]}
            if match := re.fullmatch(r"/api/v2/projects/(\d+)/pipelines/", request.path):
                return _register(state, int(match[1]), request)
            if match := re.fullmatch(r"/api/v2/jobs/(\d+)/(tasks|result)/", request.path):
                return _job(state, int(match[1]), match[2], request)
        return 404, {"detail": "Not found."}


def _jobs(state: ContractServer, request: Request) -> dict[str, Any]:
    wanted = request.query["pipeline__slug__in"][0].split(",")
    jobs = [job_id for job_id, slug in state.jobs.items() if slug in wanted and state.pending[job_id]]
    results = [{"id": job_id, "pipeline_slug": state.jobs[job_id], "user_permissions": []} for job_id in jobs]
    return {"count": len(jobs), "next": None, "previous": None, "results": results, "user_permissions": []}


def _register(state: ContractServer, project_id: int, request: Request) -> tuple[int, Any]:
    if project_id != 7:
        return 404, {"detail": "Not found."}
    state.registered.append(request.body)
    slugs = [pipeline["slug"] for pipeline in request.body["pipelines"]]
    return 201, {
        "timestamp": "2026-04-15T10:00:00.1",
        "success": True,
        "error": None,
        "pipelines": request.body["pipelines"],
        "pipelines_created": slugs,
        "algorithms_created": [],
    }


def _job(state: ContractServer, job_id: int, verb: str, request: Request) -> tuple[int, Any]:
    if job_id not in state.jobs:
        return 404, {"detail": "Not found."}
    return 200, _reserve(state, job_id, request) if verb == "tasks" else _receive(state, job_id, request)


def _reserve(state: ContractServer, job_id: int, request: Request) -> dict[str, Any]:
    tasks: list[dict[str, Any]] = []
    while state.pending[job_id] and len(tasks) < request.body["batch_size"]:
        image = state.pending[job_id].popleft()
        token = f"lease-{job_id}-{image}-{len(state.leases)}"
        state.leases[token] = (job_id, image)
        url = image if image.startswith("relative/") else f"{state.base}/images/{image}?signature=secret"
        task: dict[str, Any] = {"id": image, "image_id": image, "image_url": url, "reply_subject": token}
        if state.lease_seconds is not None:
            task["lease_seconds"] = state.lease_seconds
        tasks.append(task)
    return {"tasks": tasks}


def _receive(state: ContractServer, job_id: int, request: Request) -> dict[str, Any]:
    answers = []
    for item in request.body["results"]:
        lease = state.leases.get(item["reply_subject"])
        status = "rejected"
        if lease is not None and lease[0] == job_id:
            status = "duplicate" if lease[1] in state.results[job_id] else "queued"
            state.results[job_id].setdefault(lease[1], item["result"])
        answers.append({"reply_subject": item["reply_subject"], "status": status, "task_id": "1"})
    queued = sum(answer["status"] == "queued" for answer in answers)
    return {"status": "accepted", "job_id": job_id, "results_queued": queued, "tasks": answers}
