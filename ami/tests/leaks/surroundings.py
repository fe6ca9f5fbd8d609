"""Scenes around the web server: background work, servers that are away, access logs, a worker."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from types import SimpleNamespace
from typing import Any

from celery import shared_task
from django.db import connections
from django_structlog.celery.receivers import CeleryReceiver
from gunicorn.config import Config
from PIL import Image

from ami.base.tests.servers import http_service
from ami.ml.schemas import PipelineProcessingTask
from ami.tests.leaks.scene import CLOSED, HOST, Scene, caller
from ami.worker.cli import log_handler
from ami.worker.client import AmiClient
from ami.worker.download import Downloader, FailedImage
from ami.worker.errors import WorkerError
from ami.worker.pipeline import Found, LoadedImage, Pipeline, detector
from ami.worker.processing import process_images
from ami.worker.retrying import RetryPolicy
from config import gunicorn, health


@shared_task(name="tests.fail")
def fail(secret: str, link: str) -> None:
    """Break over a link."""
    raise ValueError(f"cannot fetch {link}" * bool(secret))


def background_tasks(it: Scene) -> list[str]:
    """A task that fails with a secret among its arguments, and one in its error."""
    receiver = CeleryReceiver()
    receiver.connect_worker_signals()  # as the first step of a Celery worker does, for as long as it lives
    task = partial(fail.apply, (it.secret(),), {"link": it.link(HOST)}, throw=False)
    worker = threading.Thread(target=task)  # each task looks after the database connection of its thread
    worker.start()
    worker.join()
    del receiver
    return ["task_failed", "raised unexpected: ValueError"]


def servers_away(it: Scene) -> list[str]:
    """Servers that do not answer under addresses with a password."""
    password = it.secret()
    it.settings.REDIS_URL = f"redis://ami:{password}@{CLOSED}/0"
    it.settings.NATS_URL = f"nats://ami:{password}@{CLOSED}"
    with it.monkeypatch.context() as patch:
        patch.setattr(health, "_recent", health._Recent())
        for name, value in {"PASSWORD": password, "HOST": "127.0.0.1", "PORT": "9"}.items():
            patch.setitem(connections.settings["default"], name, value)
        assert caller().get("/readyz").status_code == 503
    it.tenants.clients["key"].post("/api/v2/tasks/reserve/", {"batch_size": 1})
    return ["readyz.failed", "database", "redis"]


def access_logs(it: Scene) -> list[str]:
    """The web server's own lines, should somebody switch them on, and about an error that it met."""
    link = it.link()
    path, _, query = link.partition("?")
    environ = {
        "REQUEST_METHOD": "GET",
        "RAW_URI": link,
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_REFERER": f"{HOST}{link}",
        "HTTP_AUTHORIZATION": f"Token {it.secret(it.tenants.key.secret)}",
    }
    response = SimpleNamespace(status="200 OK", sent=1, headers=[])
    took = SimpleNamespace(seconds=0, microseconds=1, total_seconds=lambda: 0.1)
    it.monkeypatch.setattr(sys, "stdout", it.stderr)
    it.monkeypatch.setattr(sys, "stderr", it.stderr)
    with gunicorns_log() as log:
        log.access(response, SimpleNamespace(headers=environ.items()), environ, took)
        try:
            raise OSError(link)
        except OSError:
            log.exception("Error handling request %s", link)
    return [f"GET {path}", "Error handling request"]


@contextmanager
def gunicorns_log() -> Iterator[Any]:
    """Gunicorn's log as our configuration has it; nothing of it stays in this process."""
    config = Config()
    for name in config.settings.keys() & vars(gunicorn).keys():
        config.set(name, getattr(gunicorn, name))
    config.set("accesslog", "-")
    log = gunicorn.logger_class(config)
    try:
        yield log
    finally:
        for own in (log.error_log, log.access_log):
            own.handlers.clear()
            own.filters.clear()
            own.propagate = True


class Broken(Pipeline):
    """Says which link it could not read."""

    slug = "broken"
    name = "Broken"
    algorithms = (detector("broken_detector", "Broken"),)

    def process(self, images: Sequence[LoadedImage]) -> Sequence[Sequence[Found]]:
        """Break."""
        raise RuntimeError(f"cannot read {images[0].url}")


def workers(it: Scene) -> list[str]:
    """A worker whose server is away, whose images are gone, and whose pipeline breaks."""
    password, key, link = it.secret(), it.secret(it.tenants.key.secret), it.link(HOST)
    it.monkeypatch.setattr(sys, "stderr", it.stderr)
    logger, handler = logging.getLogger("ami.worker"), log_handler()
    logger.addHandler(handler)
    logger.propagate = False
    try:
        for url in (f"http://ami:{password}@{CLOSED}", f"ftp://ami:{password}@{CLOSED}"):
            _ask(url, key)
        with http_service() as there:
            _download(f"{there.url}/a.jpg?signature={password}")
        process_images(Broken(), [LoadedImage("1", link, Image.new("RGB", (8, 8)))])
    finally:
        logger.removeHandler(handler)
        logger.propagate = True
    return ["Trying again", "image failed", "Traceback", "not the address of a server"]


def _ask(url: str, key: str) -> None:
    try:
        with closing(AmiClient(url, key, retries=RetryPolicy(attempts=2, first_delay=0))) as client:
            client.reserve(1)
    except WorkerError:
        logging.getLogger("ami.worker").exception("asked in vain")


def _download(url: str) -> None:
    task = PipelineProcessingTask(id="1", image_id="1", image_url=url, reply_subject="lease")
    with closing(Downloader(threads=1, retries=RetryPolicy(attempts=1))) as downloader:
        (image,) = downloader.load([task])
    assert isinstance(image, FailedImage)
    logging.getLogger("ami.worker").warning(image.reason)
