"""Results of classifiers with 29,000 classes: tens of megabytes in a post, through a real web server."""

from __future__ import annotations

import gzip
import struct
import time
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import orjson
import pytest
import requests
from PIL import Image

from ami.bench.made_up import ResultMaker
from ami.bench.watching import MIB, Seen, watching
from ami.tests.e2e.platform import PATIENCE_SECONDS, Platform
from ami.tests.e2e.project import PROCESSED, Project
from ami.worker.pipeline import Found, Pipeline, classifier, detector

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

CLASSES = 29_176
IMAGES = 24
MOTHS = 2
LIMIT = 100 * MIB
"""The default of DJANGO_DATA_UPLOAD_MAX_MEMORY_MB."""


class ManyClasses(Pipeline):
    """The algorithms that `ResultMaker` names; nobody runs it."""

    slug = "many_classes"
    name = "Many classes"
    algorithms = (
        detector("bench-detector", "Bench detector"),
        classifier("bench-classifier", "Bench classifier", ["species 0"]),
    )

    def process_image(self, image: Image.Image) -> Sequence[Found]:
        """Nothing."""
        return []


@pytest.fixture(scope="module")
def maker() -> ResultMaker:
    """Makes the results."""
    return ResultMaker(ManyClasses.slug, MOTHS, CLASSES, logits=True)


@pytest.fixture
def project(platform: Platform) -> Project:
    """A project for large results."""
    return Project.create(platform, ManyClasses())


def started_job(project: Project, images: int) -> tuple[int, list[dict[str, Any]]]:
    """A job and all of its tasks."""
    for number in range(images):
        project.upload(Image.new("RGB", (64, 48), (200, 200, number)), f"large-{number}.jpg")
    job_id = project.start_job()
    return job_id, project.hold(job_id, images)


def post(platform: Platform, job_id: int, body: bytes | Iterator[bytes], **headers: str) -> requests.Response:
    """A post of the worker; an iterator is sent in chunks, without a length."""
    return requests.post(
        f"{platform.url}/api/v2/jobs/{job_id}/result/",
        data=body,
        headers={
            "Authorization": f"Token {platform.worker_token}",
            "Content-Type": "application/json",
            **headers,
        },
        timeout=PATIENCE_SECONDS,
    )


def statuses(answer: requests.Response) -> list[str]:
    """What became of each item."""
    assert answer.status_code == 200, answer.text[:500]
    return [item["status"] for item in answer.json()["tasks"]]


@contextmanager
def watched(platform: Platform, what: str, most: int) -> Iterator[Seen]:
    """Watch the web server, say what was seen, and fail if it took more than `most` bytes on top."""
    with watching(platform.programs.pid("web"), f"{platform.url}/api/v2/projects/") as seen:
        yield seen
    print(f"\n{what}: {seen}")
    assert seen.peak - seen.idle < most


@pytest.mark.parametrize("how", ["plain", "gzip", "chunked"])
def test_a_post_of_60_megabytes_is_kept_whole_in_bounded_memory(
    platform: Platform, project: Project, maker: ResultMaker, how: str
) -> None:
    job_id, tasks = started_job(project, IMAGES)
    items = [maker.item(task) for task in tasks]
    body = orjson.dumps({"results": items})
    assert len(body) > 50 * MIB
    sent: Any = {
        "plain": body,
        "gzip": gzip.compress(body, 1) if how == "gzip" else b"",
        "chunked": (body[at : at + MIB] for at in range(0, len(body), MIB)),
    }[how]
    headers = {"Content-Encoding": "gzip"} if how == "gzip" else {}
    with watched(platform, f"{how}, {len(body) / MIB:.0f} MiB", most=4 * len(body)):
        answer = post(platform, job_id, sent, **headers)
    assert statuses(answer) == ["queued"] * IMAGES
    assert platform.wait_for_end(job_id).status == "SUCCESS"
    assert [row["status"] for row in platform.ledger(job_id)] == [PROCESSED] * IMAGES
    saved = platform.database.rows(
        """SELECT d.source_image_id, d.x1, c.score, c.scores_packed, c.logits_packed
        FROM ml_classification c JOIN ml_detection d ON d.id = c.detection_id WHERE d.job_id = %s""",
        job_id,
    )
    assert len(saved) == IMAGES * MOTHS
    expected = {
        (int(task["image_id"]), found["bbox"]["x1"]): found["classifications"][0]
        for task, item in zip(tasks, items, strict=True)
        for found in item["result"]["detections"]
    }
    for image_id, x1, score, scores, logits in saved:
        name = expected[image_id, x1]
        assert score == max(name["scores"])
        assert bytes(scores) == struct.pack(f"<{CLASSES}f", *name["scores"])
        assert bytes(logits) == struct.pack(f"<{CLASSES}f", *name["logits"])


@pytest.mark.parametrize(
    "garbage",
    [
        b'{"reply_subject":"x","result":"%b"}' % (b"x" * (50 * MIB)),
        b"[%b[]]" % (b"[]," * (17 * MIB)),
        b"[%b0]" % (b"0.5," * (13 * MIB)),
        b'{"result":{"algorithms":{%b"z":1}}}' % b"".join(b'"k%d":1,' % n for n in range(1_000_000)),
    ],
    ids=["text", "empty lists", "numbers", "a million keys"],
)
def test_an_item_of_garbage_does_not_lose_its_neighbours(
    platform: Platform, project: Project, maker: ResultMaker, garbage: bytes
) -> None:
    job_id, tasks = started_job(project, 2)
    first, last = (orjson.dumps(maker.item(task)) for task in tasks)
    body = b'{"results":[%b,%b,%b]}' % (first, garbage, last)
    with watched(platform, f"garbage of {len(garbage) / MIB:.0f} MiB", most=4 * LIMIT):
        answer = post(platform, job_id, body)
    assert statuses(answer) == ["queued", "rejected", "queued"]


def test_a_gzip_bomb_is_dropped_at_the_limit(platform: Platform, project: Project) -> None:
    job_id, _ = started_job(project, 1)
    packer = zlib.compressobj(9, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    zeros = b"0" * MIB
    bomb = b"".join([packer.compress(zeros) for _ in range(400)]) + packer.flush()
    assert len(bomb) < 2 * MIB
    for _ in range(2):
        with watched(platform, "bomb of 400 MiB", most=LIMIT + 50 * MIB) as seen:
            answer = post(platform, job_id, bomb, **{"Content-Encoding": "gzip"})
        assert answer.status_code == 413
        assert seen.seconds < 10


HOSTILE = {
    "nested 100,000 deep": (b'{"results":[%b%b]}' % (b"[" * 100_000, b"]" * 100_000), 400),
    "a million keys": (b"{%b" % b"".join(b'"k%d":1,' % n for n in range(1_000_000)) + b'"results":[]}', 200),
    "2,001 items": (b'{"results":[' + b"{}," * 2_000 + b"{}]}", 400),
    "millions of items": (b'{"results":[' + b"0," * (40 * MIB) + b"0]}", 400),
    "not gzip": (b"\x1f\x8b and so on", 400),
    "too long": (b" " * (LIMIT + 1), 413),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_body_is_refused_fast_and_in_bounded_memory(
    platform: Platform, project: Project, name: str
) -> None:
    job_id, _ = started_job(project, 1)
    body, status = HOSTILE[name]
    headers = {"Content-Encoding": "gzip"} if name == "not gzip" else {}
    with watched(platform, name, most=3 * LIMIT) as seen:
        began = time.monotonic()
        answer = post(platform, job_id, body, **headers)
        assert time.monotonic() - began < 10
    assert answer.status_code == status, answer.text[:500]
    assert seen.waits
