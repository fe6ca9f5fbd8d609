"""`python -m ami.bench.pull_worker`: the reference worker with a model that sleeps, and nothing to download.

AMI_URL and AMI_TOKEN say where to work, as for `ami-worker`. What is left is the worker's own loop, its HTTP
calls and the time that the model is said to take.
"""

from __future__ import annotations

import argparse
import logging
import os
import threading
import time
from collections.abc import Sequence

from PIL import Image

from ami.ml.schemas import PipelineProcessingTask
from ami.worker.client import AmiClient
from ami.worker.download import Downloader, FailedImage, Wanted
from ami.worker.pipeline import Classification, Found, LoadedImage, Pipeline, classifier, detector
from ami.worker.processing import process_images
from ami.worker.results import answer
from ami.worker.runner import DEFAULT_BATCH_SIZE, Worker
from ami.worker.signals import stopped_by_signals

LABELS = ("species 0", "species 1")
MOTHS = 2
IDLE_SECONDS = 0.1
CLAIMS = ("batch", "job")
"""A worker that claims jobs asks for the next one after each batch, or when its job has no more tasks."""
PICTURE = Image.new("RGB", (64, 64))


class Sleeping(Pipeline):
    """Finds two moths on every image, and takes so long."""

    slug = "bench"
    name = "Bench"
    algorithms = (
        detector("bench-detector", "Bench detector"),
        classifier("bench-classifier", "Bench classifier", LABELS),
    )

    def __init__(self, milliseconds: float) -> None:
        """`milliseconds`: the time of one image; a batch takes it once an image."""
        self._seconds = milliseconds / 1_000

    def process(self, images: Sequence[LoadedImage]) -> list[list[Found]]:
        """Sleep, then say the same of each image."""
        if self._seconds:
            time.sleep(self._seconds * len(images))
        moth = Classification(LABELS[0], (0.9, 0.1))
        return [[Found((10 * n, 5, 10 * n + 9, 30), [moth]) for n in range(MOTHS)] for _ in images]


class NoDownload(Downloader):
    """Every image is the same, and at hand."""

    def load(
        self, tasks: Sequence[PipelineProcessingTask], wanted: Wanted | None = None
    ) -> list[LoadedImage | FailedImage]:
        """The picture, once a task."""
        return [LoadedImage(task.image_id, task.image_url, PICTURE) for task in tasks]


def main() -> None:
    """Work until SIGTERM."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--name", default="bench")
    parser.add_argument("--ms", type=float, default=0.0, help="what the model takes for one image")
    parser.add_argument("--batch", type=int, default=DEFAULT_BATCH_SIZE)
    parser.add_argument("--claims", choices=CLAIMS, help="claim jobs with /jobs/next/, see fairness")
    options = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    stop = threading.Event()
    client = AmiClient(
        os.environ["AMI_URL"],
        os.environ["AMI_TOKEN"],
        service_name="bench",
        instance=options.name,
        stop=stop,
    )
    pipeline = Sleeping(options.ms)
    with stopped_by_signals(stop):
        if options.claims:
            _work_job_by_job(client, pipeline, options, stop)
        else:
            Worker(client, [pipeline], batch_size=options.batch, downloader=NoDownload(), stop=stop).run()
    client.close()


def _work_job_by_job(
    client: AmiClient, pipeline: Pipeline, options: argparse.Namespace, stop: threading.Event
) -> None:
    """`/jobs/next/`, then `/jobs/{id}/tasks/`: the loop of workers that know one job at a time."""
    while not stop.is_set():
        job = client.next_job().job
        if job is None:
            stop.wait(IDLE_SECONDS)
            continue
        while not stop.is_set() and (tasks := client.reserve_from(job.id, options.batch)):
            outcomes = process_images(pipeline, [LoadedImage(task.image_id, "", PICTURE) for task in tasks])
            client.post_results(job.id, [answer(*pair) for pair in zip(tasks, outcomes, strict=True)])
            if options.claims == "batch":
                break


if __name__ == "__main__":
    main()
