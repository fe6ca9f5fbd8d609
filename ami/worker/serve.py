"""Offer pipelines in push mode: an HTTP service that the platform sends images to (`ami-worker serve`).

The same pipeline classes as in pull mode. The wire is the one that push services always spoke: `/readyz`,
`/livez`, `/info` and `/process`. It has no login, so it belongs into a private network.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import orjson
from pydantic import ValidationError

from ami.ml.schemas import (
    PipelineProcessingTask,
    PipelineRequest,
    PipelineResultsError,
    PipelineResultsResponse,
    ProcessingServiceInfoResponse,
)
from ami.worker.download import Downloader, FailedImage
from ami.worker.pipeline import LoadedImage, Pipeline
from ami.worker.processing import process_images

logger = logging.getLogger(__name__)

MAX_BODY_BYTES = 64 * 1024 * 1024
NAME = "AMI worker"
QUIET_SECONDS = 30.0
"""After which a connection that says nothing is closed."""


@dataclass(frozen=True)
class Reply:
    """An answer: its status and what is in it."""

    status: int
    content: Any


class Refused(Exception):
    """A request that is not carried out; `detail` says why, in words or as a list of complaints."""

    def __init__(self, status: int, detail: Any) -> None:
        """As they go into the answer."""
        super().__init__(str(detail))
        self.status, self.detail = status, detail


@dataclass
class PushService:
    """What the service does, without HTTP. One batch is processed at a time: a pipeline is one GPU's."""

    pipelines: Sequence[Pipeline]
    name: str = NAME
    downloader: Downloader = field(default_factory=Downloader)
    _turn: threading.Lock = field(default_factory=threading.Lock)
    _ready: set[str] = field(default_factory=set)

    def set_up(self) -> None:
        """Load every pipeline; until then the service is not ready."""
        for pipeline in self.pipelines:
            with self._turn:
                pipeline.setup()
            self._ready.add(pipeline.slug)

    def alive(self) -> Reply:
        """Whether the process answers."""
        return Reply(200, {"status": True})

    def readiness(self) -> Reply:
        """The pipelines that can run now."""
        slugs = [pipeline.slug for pipeline in self.pipelines if pipeline.slug in self._ready]
        return Reply(200 if slugs else 503, {"status": slugs})

    def info(self) -> Reply:
        """What the service offers."""
        offered = ProcessingServiceInfoResponse(
            name=self.name, pipelines=[pipeline.announcement() for pipeline in self.pipelines]
        )
        return Reply(200, offered.model_dump(mode="json"))

    def process(self, body: bytes) -> Reply:
        """Predictions for the images of a request. Raises Refused.

        An image that fails is left out of `source_images` and named in `errors`; the others are not affected.
        """
        request = _parsed(body)
        pipeline = next((one for one in self.pipelines if one.slug == request.pipeline), None)
        if pipeline is None:
            raise Refused(422, f"Invalid pipeline choice: {request.pipeline}")
        started = time.monotonic()
        images = self.downloader.load(_tasks(request))
        loaded = [image for image in images if isinstance(image, LoadedImage)]
        with self._turn:
            outcomes = process_images(pipeline, loaded)
        problems = [
            PipelineResultsError(error=image.reason, image_id=image.id)
            for image in images
            if isinstance(image, FailedImage)
        ]
        problems += [outcome for outcome in outcomes if isinstance(outcome, PipelineResultsError)]
        done = [outcome for outcome in outcomes if isinstance(outcome, PipelineResultsResponse)]
        answer = PipelineResultsResponse(
            pipeline=pipeline.slug,
            total_time=time.monotonic() - started,
            source_images=[image for one in done for image in one.source_images],
            detections=[detection for one in done for detection in one.detections],
            errors=[problem.model_dump(exclude_none=True) for problem in problems] or None,
        )
        logger.info("processed images=%d failed=%d pipeline=%s", len(done), len(problems), pipeline.slug)
        return Reply(200, answer.model_dump(mode="json"))


def serve(service: PushService, host: str, port: int) -> ThreadingHTTPServer:
    """A server that is bound and not yet serving; port 0 takes a free one. Raises OSError."""

    class Handler(_Handler):
        pass

    Handler.service = service
    server = ThreadingHTTPServer((host, port), Handler)
    server.daemon_threads = True
    return server


def _parsed(body: bytes) -> PipelineRequest:
    try:
        return PipelineRequest.model_validate_json(body)
    except ValidationError as error:
        complaints = error.errors(include_url=False, include_context=False, include_input=False)
        raise Refused(422, [_from_the_body(complaint) for complaint in complaints]) from error


def _from_the_body(complaint: Any) -> dict[str, Any]:
    return {**complaint, "loc": ["body", *complaint["loc"]]}


def _tasks(request: PipelineRequest) -> list[PipelineProcessingTask]:
    return [
        PipelineProcessingTask(id=image.id, image_id=image.id, image_url=image.url, config=request.config)
        for image in request.source_images
    ]


class _Handler(BaseHTTPRequestHandler):
    """Carries requests to the service and back."""

    service: ClassVar[PushService]
    protocol_version = "HTTP/1.1"
    timeout = QUIET_SECONDS

    def do_GET(self) -> None:
        """`/livez`, `/readyz`, `/info`."""
        service = self.service
        ways = {"/livez": service.alive, "/readyz": service.readiness, "/info": service.info}
        self._answer(ways.get(self._way))

    def do_POST(self) -> None:
        """`/process`."""
        self._answer((lambda: self.service.process(self._body())) if self._way == "/process" else None)

    @property
    def _way(self) -> str:
        return self.path.partition("?")[0].rstrip("/")

    def _body(self) -> bytes:
        length = self.headers.get("Content-Length", "")
        if not length.isdigit():
            self.close_connection = True
            raise Refused(411, "Say how long the body is (Content-Length).")
        if int(length) > MAX_BODY_BYTES:
            self.close_connection = True
            raise Refused(413, f"A request has at most {MAX_BODY_BYTES:,} bytes.")
        return self.rfile.read(int(length))

    def _answer(self, work: Callable[[], Reply] | None) -> None:
        try:
            reply = work() if work else Reply(404, {"detail": "Not Found"})
        except Refused as refused:
            reply = Reply(refused.status, {"detail": refused.detail})
        except Exception:
            logger.exception("request failed path=%s", self.path)
            reply = Reply(500, {"detail": "Internal Server Error"})
        content = orjson.dumps(reply.content)
        self.send_response(reply.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Requests are logged at debug level: readiness is asked for all day."""
        logger.debug(format, *args)
