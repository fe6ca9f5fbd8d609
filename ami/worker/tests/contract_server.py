"""A small real HTTP server that answers a worker as the protocol says, for the tests of this package.

It keeps jobs, leases tasks, takes results and serves images over a socket. Leases are real: they run out, are
extended and released, and their images are handed out again. Tests script its failures.
"""

from __future__ import annotations

import gzip
import io
import json
import re
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from PIL import Image

TOKEN = "amiw_0123abcd_" + "0123456789abcdef" * 4
Answer = tuple[int, Any]


@dataclass
class Request:
    """One request as it arrived."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: Any
    size: int = 0
    """Bytes of the body as they came."""


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


@dataclass
class Lease:
    """One image in the hands of a worker."""

    job_id: int
    image: str
    attempt: int
    until: float
    extended: int = 0
    status: str = "held"
    """held, then one of: done, failed, released, lost, cancelled."""


class ContractServer:
    """The state behind the socket."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.changed = threading.Condition(self.lock)
        self.requests: list[Request] = []
        self.failures: list[Failure] = []
        self.images: dict[str, bytes] = {}
        self.jobs: dict[int, str] = {}
        self.configs: dict[int, dict[str, Any]] = {}
        self.pending: dict[int, deque[str]] = {}
        self.attempts: dict[tuple[int, str], int] = {}
        self.leases: dict[str, Lease] = {}
        self.results: dict[int, dict[str, dict[str, Any]]] = {}
        self.failed: dict[str, dict[str, Any]] = {}
        self.cancelled: set[int] = set()
        self.registered: list[Any] = []
        self.lease_seconds = 300.0
        self.retry_after: float | None = None
        """Of an empty answer to a reservation."""
        self.ignore_pipelines = False
        """Hand out tasks of pipelines that nobody asked for."""
        self.closing = False
        self.base = ""

    def add_job(
        self, job_id: int, slug: str, images: dict[str, bytes], config: dict[str, Any] | None = None
    ) -> None:
        """A started job over these images (id to file)."""
        with self.changed:
            self.images |= images
            self.jobs[job_id] = slug
            self.configs[job_id] = config or {}
            self.pending[job_id] = deque(images)
            self.results[job_id] = {}
            self.changed.notify_all()

    def cancel(self, job_id: int) -> None:
        """End a job: its leases are worth nothing any more."""
        with self.changed:
            self.cancelled.add(job_id)
            self.pending[job_id].clear()
            for lease in self.leases.values():
                if lease.job_id == job_id and lease.status == "held":
                    lease.status = "cancelled"

    def lose(self, token: str) -> None:
        """A lease is over, and its image with somebody else who keeps it."""
        with self.changed:
            self.leases[token].status = "lost"

    def close(self) -> None:
        """Answer whoever waits."""
        with self.changed:
            self.closing = True
            self.changed.notify_all()

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

    def tokens(self, status: str) -> dict[str, str]:
        """Leases in this state, image to token."""
        with self.lock:
            return {lease.image: token for token, lease in self.leases.items() if lease.status == status}


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
        state.close()
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
        data = gzip.decompress(raw) if self.headers.get("Content-Encoding") == "gzip" else raw
        body = json.loads(data) if data else None
        state = self.server_state
        request = Request(self.command, parts.path, parse_qs(parts.query), dict(self.headers), body, len(raw))
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

    def _answer_for(self, state: ContractServer, request: Request) -> Answer:
        if match := re.fullmatch(r"/images/(.+)", request.path):
            data = state.images.get(match[1])
            return (404, {"detail": "Not found."}) if data is None else (200, data)
        if request.headers.get("Authorization") != f"Token {TOKEN}":
            return 401, {"detail": "Invalid token."}
        for pattern, answer in ROUTES:
            if match := re.fullmatch(pattern, request.path):
                with state.changed:
                    _end_old_leases(state)
                    return answer(state, request, *map(int, match.groups()))
        return 404, {"detail": "Not found."}


def _projects(state: ContractServer, request: Request) -> Answer:
    return 200, {"count": 1, "results": [{"id": 7, "name": "Panama", "draft": False}]}


def _register(state: ContractServer, request: Request, project_id: int) -> Answer:
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


def _jobs_for(state: ContractServer, request: Request) -> list[int]:
    wanted = None if state.ignore_pipelines else request.body.get("pipelines")
    return [
        job_id
        for job_id, slug in state.jobs.items()
        if state.pending[job_id] and (wanted is None or slug in wanted)
    ]


def _next_job(state: ContractServer, request: Request) -> Answer:
    jobs = _jobs_for(state, request)
    job = {"id": jobs[0], "pipeline_slug": state.jobs[jobs[0]], "name": "Night 1"} if jobs else None
    return 200, {"job": job, "batch_size": 24, "lease_seconds": state.lease_seconds}


def _reserve(state: ContractServer, request: Request) -> Answer:
    until = time.monotonic() + min(30.0, request.body.get("wait", 0.0))
    while not _jobs_for(state, request) and not state.closing and (left := until - time.monotonic()) > 0:
        state.changed.wait(min(left, _next_end(state)))
        _end_old_leases(state)
    tasks: list[dict[str, Any]] = []
    jobs = _jobs_for(state, request)
    share = -(-request.body["batch_size"] // max(1, len(jobs)))
    while jobs and len(tasks) < request.body["batch_size"]:
        for job_id in jobs:
            left = min(share, request.body["batch_size"] - len(tasks))
            tasks += _lease(state, job_id, left)
        jobs = _jobs_for(state, request)
    tasks.sort(key=lambda task: list(state.jobs).index(task["job_id"]))
    retry_after = None if tasks else state.retry_after
    return 200, {
        "tasks": tasks,
        "lease_seconds": state.lease_seconds,
        "retry_after": retry_after,
        "reason": "" if tasks else "Nothing to do.",
    }


def _reserve_from(state: ContractServer, request: Request, job_id: int) -> Answer:
    if job_id not in state.jobs:
        return 404, {"detail": "Not found."}
    return 200, {"tasks": _lease(state, job_id, request.body["batch_size"])}


def _lease(state: ContractServer, job_id: int, count: int) -> list[dict[str, Any]]:
    tasks: list[dict[str, Any]] = []
    while state.pending[job_id] and len(tasks) < count:
        image = state.pending[job_id].popleft()
        attempt = state.attempts[job_id, image] = state.attempts.get((job_id, image), 0) + 1
        token = f"lease-{job_id}-{image}-{attempt}"
        state.leases[token] = Lease(job_id, image, attempt, time.monotonic() + state.lease_seconds)
        url = image if image.startswith("relative/") else f"{state.base}/images/{image}?signature=secret"
        tasks.append(
            {
                **{"id": image, "image_id": image, "image_url": url, "reply_subject": token},
                **{"job_id": job_id, "pipeline_slug": state.jobs[job_id], "config": state.configs[job_id]},
                **{"lease_seconds": state.lease_seconds, "attempt": attempt},
            }
        )
    return tasks


def _next_end(state: ContractServer) -> float:
    ends = [lease.until for lease in state.leases.values() if lease.status == "held"]
    return max(0.01, min(ends, default=float("inf")) - time.monotonic())


def _end_old_leases(state: ContractServer) -> None:
    now = time.monotonic()
    for lease in state.leases.values():
        if lease.status == "held" and lease.until < now:
            lease.status = "lost"
            state.pending[lease.job_id].append(lease.image)


def _each_lease(state: ContractServer, request: Request, act: Callable[[Lease], str]) -> Answer:
    states = []
    for token in request.body["leases"]:
        lease = state.leases.get(token)
        if lease is None:
            status = "rejected"
        elif lease.job_id in state.cancelled:
            status = "cancelled"
        else:
            status = act(lease) if lease.status == "held" else "lost"
        states.append({"reply_subject": token, "status": status, "cancelled": status == "cancelled"})
    state.changed.notify_all()
    return 200, {"leases": states, "lease_seconds": state.lease_seconds}


def _extend(state: ContractServer, request: Request) -> Answer:
    def act(lease: Lease) -> str:
        lease.until = time.monotonic() + state.lease_seconds
        lease.extended += 1
        return "held"

    return _each_lease(state, request, act)


def _release(state: ContractServer, request: Request) -> Answer:
    def act(lease: Lease) -> str:
        lease.status = "released"
        state.pending[lease.job_id].append(lease.image)
        return "released"

    return _each_lease(state, request, act)


def _fail(state: ContractServer, request: Request) -> Answer:
    answers = []
    for failure in request.body["failures"]:
        lease = state.leases.get(failure["reply_subject"])
        status = "rejected"
        if lease is not None:
            status = "duplicate"
            if lease.status == "held":
                status = "failed" if failure.get("retryable") is False else "retry"
                lease.status = "failed"
                state.failed[lease.image] = failure
        answers.append({"reply_subject": failure["reply_subject"], "status": status, "task_id": ""})
    return 200, {"tasks": answers}


def _receive(state: ContractServer, request: Request, job_id: int) -> Answer:
    if job_id not in state.jobs:
        return 404, {"detail": "Not found."}
    answers = []
    for item in request.body["results"]:
        lease = state.leases.get(item["reply_subject"])
        status = "rejected"
        if lease is not None and lease.job_id == job_id:
            status = _receive_one(state, lease, item["result"])
        answers.append({"reply_subject": item["reply_subject"], "status": status, "task_id": "1"})
    queued = sum(answer["status"] == "queued" for answer in answers)
    return 200, {"status": "accepted", "job_id": job_id, "results_queued": queued, "tasks": answers}


def _receive_one(state: ContractServer, lease: Lease, result: dict[str, Any]) -> str:
    if lease.job_id in state.cancelled:
        return "cancelled"
    lease.status = "done"
    done = state.results[lease.job_id]
    if lease.image in done:
        return "duplicate"
    done[lease.image] = result
    return "queued"


ROUTES: list[tuple[str, Callable[..., Answer]]] = [
    (r"/api/v2/projects/", _projects),
    (r"/api/v2/projects/(\d+)/pipelines/", _register),
    (r"/api/v2/jobs/next/", _next_job),
    (r"/api/v2/jobs/(\d+)/tasks/", _reserve_from),
    (r"/api/v2/jobs/(\d+)/result/", _receive),
    (r"/api/v2/tasks/reserve/", _reserve),
    (r"/api/v2/tasks/extend/", _extend),
    (r"/api/v2/tasks/release/", _release),
    (r"/api/v2/tasks/fail/", _fail),
]
