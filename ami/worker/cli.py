"""The command `ami-worker`: register pipelines, run a worker, serve in push mode, try a pipeline on files."""

from __future__ import annotations

import argparse
import logging
import os
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import orjson
from PIL import Image

from ami.worker.client import AmiClient
from ami.worker.download import DownloadLimits, decode_image
from ami.worker.drawing import draw_finds
from ami.worker.errors import WorkerError
from ami.worker.feed import IDLE_SECONDS, WAIT_SECONDS
from ami.worker.loading import load_pipelines
from ami.worker.masking import MaskingFormatter
from ami.worker.pipeline import Found, LoadedImage, Pipeline
from ami.worker.results import success
from ami.worker.runner import DEFAULT_BATCH_SIZE, GRACE_SECONDS, Worker
from ami.worker.serve import NAME as SERVICE_NAME
from ami.worker.serve import PushService
from ami.worker.serve import serve as bind
from ami.worker.signals import stopped_by_signals

logger = logging.getLogger("ami.worker")

SERVICE_PORT = 2000

DRAWING_SIDE = 2000
"""Long side of a drawing in pixels: enough for the screen, small enough to mail."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code: 0 done, 1 not everything worked, 2 wrong use."""
    options = parser().parse_args(arguments)
    logging.basicConfig(handlers=[log_handler()], level=logging.DEBUG if options.verbose else logging.INFO)
    logging.getLogger("urllib3").setLevel(logging.WARNING)
    logging.getLogger("PIL").setLevel(logging.WARNING)
    try:
        return int(options.command(options))
    except WorkerError as error:
        print(f"ami-worker: {error}", file=sys.stderr)
        return 1


def log_handler() -> logging.Handler:
    """Writes what a worker says to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(MaskingFormatter("%(asctime)s %(levelname)-7s %(message)s"))
    return handler


def register(options: argparse.Namespace) -> int:
    """Announce the pipelines to a project, so that jobs can be started with them."""
    client = _client(options)
    announcements = [pipeline.announcement() for pipeline in _pipelines(options)]
    if not options.project:
        print("Which project? Say --project with one or more of:", file=sys.stderr)
        for project in client.projects():
            print(f"  {project.id}  {project.name}", file=sys.stderr)
        return 2
    for project_id in options.project:
        answer = client.register(project_id, announcements)
        slugs = ", ".join(announcement.slug for announcement in announcements)
        news = ", ".join(answer.pipelines_created) or "nothing new"
        print(f"Registered {slugs} with project {project_id} as {client.service_name!r} ({news}).")
    return 0


def run(options: argparse.Namespace) -> int:
    """Reserve, process and post until a signal says stop."""
    stop = threading.Event()
    client = _client(options, stop)
    pipelines = _pipelines(options)
    worker = Worker(
        client,
        pipelines,
        batch_size=options.batch_size,
        wait=options.wait,
        grace=options.grace,
        idle_seconds=options.idle,
        stop=stop,
        overdue=_quit,
    )
    with stopped_by_signals(stop):
        logger.info(
            "worker starts server=%s name=%r instance=%r pipelines=%s batch_size=%d",
            *(
                client.base,
                client.service_name,
                client.instance,
                ",".join(pipeline.slug for pipeline in pipelines),
                options.batch_size,
            ),
        )
        totals = worker.run(until_idle=options.until_idle, once=options.once)
    client.close()
    logger.info(
        "worker ends images=%d detections=%d failed=%d dropped=%d not_delivered=%d",
        *(totals.images, totals.detections, totals.failed, totals.dropped, totals.not_delivered),
    )
    return 1 if totals.not_delivered else 0


def serve(options: argparse.Namespace) -> int:
    """Offer the pipelines in push mode until a signal says stop."""
    stop = threading.Event()
    service = PushService(_pipelines(options), name=options.service_name)
    try:
        server = bind(service, options.host, options.port)
    except OSError as error:
        raise WorkerError(
            f"Cannot listen on {options.host}:{options.port} ({error.strerror}); choose another --port."
        ) from error
    with stopped_by_signals(stop), server:
        threading.Thread(target=server.serve_forever, name="http", daemon=True).start()
        logger.info("service starts address=http://%s:%d", *server.server_address[:2])
        service.set_up()
        logger.info("service is ready pipelines=%s", ",".join(one.slug for one in service.pipelines))
        stop.wait()
        server.shutdown()
    service.downloader.close()
    return 0


def process(options: argparse.Namespace) -> int:
    """Run one pipeline on local files, without any server; draw or print what it finds."""
    pipeline = _pipelines(options)[0]
    pipeline.setup()
    exit_code = 0
    if options.draw:
        options.draw.mkdir(parents=True, exist_ok=True)
    for path in options.files:
        try:
            image = decode_image(path.read_bytes(), max_pixels=DownloadLimits().max_pixels)
        except (OSError, WorkerError) as error:
            print(f"{path}: {error}", file=sys.stderr)
            exit_code = 1
            continue
        _process_file(pipeline, path, image, options)
    return exit_code


def _process_file(pipeline: Pipeline, path: Path, image: Image.Image, options: argparse.Namespace) -> None:
    loaded = LoadedImage(id=path.name, url=path.name, image=image)
    started = time.perf_counter()
    (finds,) = pipeline.process([loaded])
    seconds = time.perf_counter() - started
    if options.json:
        print(orjson.dumps(success(pipeline, loaded, finds, seconds).model_dump(mode="json")).decode())
    else:
        print(f"{path}: {_summary(finds)} in {seconds:.2f} s")
    if options.draw:
        drawing = draw_finds(image, finds, labels=pipeline.known_labels, max_side=DRAWING_SIDE)
        drawing.save(options.draw / f"{path.stem}-{pipeline.slug}.jpg", quality=90)


def _summary(finds: Sequence[Found]) -> str:
    labels = [item.label for find in finds for item in find.classifications if item.terminal]
    counts = ", ".join(f"{labels.count(label)} {label}" for label in sorted(set(labels)))
    return f"{len(finds)} found" + (f" ({counts})" if counts else "")


def _client(options: argparse.Namespace, stop: threading.Event | None = None) -> AmiClient:
    if not options.token:
        raise WorkerError("A worker key is needed: set AMI_TOKEN, or give --token.")
    return AmiClient(
        options.url,
        options.token,
        service_name=options.name or None,
        instance=options.instance or None,
        compress=not options.no_gzip,
        stop=stop,
    )


def _pipelines(options: argparse.Namespace) -> list[Pipeline]:
    only = [slug for slug in (options.pipelines or "").split(",") if slug]
    return load_pipelines(options.pipeline, only)


def _quit() -> None:
    """End the process in the middle of a batch, whose images went back: a pipeline cannot be interrupted."""
    logger.warning("worker ends in the middle of a batch")
    logging.shutdown()
    os._exit(0)


def parser() -> argparse.ArgumentParser:
    """The command line of `ami-worker`."""
    parser = argparse.ArgumentParser(prog="ami-worker", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    add = commands.add_parser("register", help="announce pipelines to a project")
    add.add_argument("--project", type=int, action="append", help="number of the project; may be repeated")
    _add_server(add)
    _add_common(add)
    add.set_defaults(command=register)

    add = commands.add_parser("run", help="work: reserve images, process them, post results")
    add.add_argument(
        "--batch-size", type=_positive, default=DEFAULT_BATCH_SIZE, help="images per batch (%(default)s)"
    )
    add.add_argument(
        "--wait",
        type=_seconds,
        default=WAIT_SECONDS,
        help="seconds that the server may wait for work before it says that there is none (%(default)s)",
    )
    add.add_argument(
        "--idle",
        type=_seconds,
        default=IDLE_SECONDS,
        help="seconds between polls when the server does not wait (%(default)s)",
    )
    add.add_argument(
        "--grace",
        type=_seconds,
        default=GRACE_SECONDS,
        help="seconds that the batch in process gets after SIGTERM; then its images go back (%(default)s)",
    )
    ending = add.add_mutually_exclusive_group()
    ending.add_argument("--once", action="store_true", help="make one reservation, process it, and exit")
    ending.add_argument("--until-idle", action="store_true", help="exit when there is nothing to do")
    _add_server(add)
    _add_common(add)
    add.set_defaults(command=run)

    add = commands.add_parser("serve", help="offer pipelines in push mode, over HTTP and without a login")
    add.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    add.add_argument("--port", type=int, default=SERVICE_PORT, help="port to listen on (%(default)s)")
    add.add_argument("--service-name", default=SERVICE_NAME, help="as it calls itself (%(default)s)")
    _add_common(add)
    add.set_defaults(command=serve)

    add = commands.add_parser("process", help="run a pipeline on local files, without a server")
    add.add_argument("files", nargs="+", type=Path, help="photographs")
    add.add_argument("--draw", type=Path, metavar="DIR", help="write pictures with the boxes drawn here")
    add.add_argument("--json", action="store_true", help="print the result of each file as one line of JSON")
    _add_common(add)
    add.set_defaults(command=process)
    return parser


def _add_server(parser: argparse.ArgumentParser) -> None:
    url = os.environ.get("AMI_URL", "http://localhost:8000")
    parser.add_argument("--url", default=url, help="address of the server; or set AMI_URL (%(default)s)")
    token = os.environ.get("AMI_TOKEN", "")
    parser.add_argument("--token", default=token, help="worker key; or better, set AMI_TOKEN")
    name = os.environ.get("AMI_WORKER_NAME", "").strip()
    parser.add_argument("--name", default=name, help="name of this worker; or set AMI_WORKER_NAME (the host)")
    parser.add_argument(
        "--instance",
        default="",
        help="tells workers of the same name apart; or set AMI_WORKER_INSTANCE (the host)",
    )
    parser.add_argument("--no-gzip", action="store_true", help="send large results as they are, not packed")


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--pipeline", action="append", default=[], metavar="MODULE:CLASS", help="your own pipeline"
    )
    parser.add_argument("--pipelines", metavar="A,B", help="only these pipelines, by slug")
    parser.add_argument("--verbose", action="store_true", help="say more")


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number


def _seconds(text: str) -> float:
    number = float(text)
    if not 0.0 <= number < float("inf"):
        raise argparse.ArgumentTypeError("must be 0 or more")
    return number
