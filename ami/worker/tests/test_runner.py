"""The loop of a worker against a server that speaks the contract over a socket."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import pytest

from ami.worker.client import AmiClient
from ami.worker.download import Downloader
from ami.worker.errors import NotAuthorised, ServerBusy
from ami.worker.pipeline import Found, LoadedImage, Pipeline, detector
from ami.worker.retrying import RetryPolicy
from ami.worker.runner import Worker
from ami.worker.tests.contract_server import TOKEN, ContractServer, image_file

FAST = RetryPolicy(attempts=3, first_delay=0.01, max_delay=0.02, max_retry_after=0.02)
DEADLINE = 10.0


class OneBox(Pipeline):
    """Finds one box on every image, and lets a test look on."""

    slug = "one_box"
    name = "One box"
    algorithms = (detector("one_box_detector", "One box"),)

    def __init__(self, look: Callable[[Sequence[LoadedImage]], None] = lambda images: None) -> None:
        self.look = look
        self.batches: list[list[str]] = []
        self.set_up = 0

    def setup(self) -> None:
        self.set_up += 1

    def process(self, images: Sequence[LoadedImage]) -> Sequence[Sequence[Found]]:
        assert self.set_up == 1
        self.batches.append([image.id for image in images])
        self.look(images)
        return [[Found((1, 1, 9, 9))] for _ in images]


@pytest.fixture
def make_worker(server: ContractServer) -> Iterator[Callable[..., Worker]]:
    clients = []

    def make(*pipelines: Pipeline, batch_size: int = 4, token: str = TOKEN) -> Worker:
        stop = threading.Event()
        client = AmiClient(server.base, token, retries=FAST, stop=stop)
        clients.append(client)
        downloader = Downloader(threads=4, retries=FAST, stop=stop)
        return Worker(
            client,
            pipelines or [OneBox()],
            batch_size=batch_size,
            downloader=downloader,
            idle_seconds=0.01,
            stop=stop,
        )

    yield make
    for client in clients:
        client.close()


MakeWorker = Callable[..., Worker]


def wait_until(condition: Callable[[], bool]) -> None:
    """Return as soon as the condition holds; fail when the deadline is over."""
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.005)


@contextmanager
def running(worker: Worker) -> Iterator[threading.Thread]:
    """The worker in a thread, which ends with the test whatever happens in it."""
    thread = threading.Thread(target=worker.run, daemon=True)
    thread.start()
    try:
        yield thread
    finally:
        worker.stop.set()
        thread.join(DEADLINE)


def numbered(start: int, count: int) -> dict[str, bytes]:
    return {str(number): image_file() for number in range(start, start + count)}


def test_every_image_of_every_job_is_answered(server: ContractServer, make_worker: MakeWorker) -> None:
    server.add_job(1, "one_box", numbered(0, 10))
    server.add_job(2, "one_box", numbered(10, 3))
    server.add_job(3, "somebody_elses", numbered(20, 3))
    totals = make_worker().run(until_idle=True)
    assert (totals.images, totals.failed, totals.detections) == (13, 0, 13)
    assert totals.statuses == {"queued": 13}
    assert set(server.results[1]) == set(numbered(0, 10))
    assert set(server.results[2]) == set(numbered(10, 3))
    assert server.results[3] == {}
    assert server.result(1, "0")["detections"][0]["bbox"] == {"x1": 1.0, "y1": 1.0, "x2": 9.0, "y2": 9.0}


def test_jobs_take_turns(server: ContractServer, make_worker: MakeWorker) -> None:
    server.add_job(1, "one_box", numbered(0, 8))
    server.add_job(2, "one_box", numbered(100, 4))
    pipeline = OneBox()
    make_worker(pipeline, batch_size=4).run(until_idle=True)
    assert [batch[0] for batch in pipeline.batches] == ["0", "100", "4"]


def test_bad_and_missing_images_are_reported_and_the_rest_goes_on(
    server: ContractServer, make_worker: MakeWorker
) -> None:
    server.add_job(
        1, "one_box", {"1": image_file(), "2": b"no picture", "relative/3.jpg": b"", "4": image_file()}
    )
    totals = make_worker().run(until_idle=True)
    assert (totals.images, totals.failed) == (4, 2)
    broken = server.result(1, "2")
    assert broken["image_id"] == "2"
    assert broken["code"] == "unreadable_image"
    assert broken["retryable"] is False
    assert "not an image" in broken["error"]
    assert "not a web address" in server.result(1, "relative/3.jpg")["error"]
    assert "detections" in server.result(1, "4")


def test_poison_image_fails_alone_and_is_reported(server: ContractServer, make_worker: MakeWorker) -> None:
    def choke(images: Sequence[LoadedImage]) -> None:
        if any(image.id == "2" for image in images):
            raise ZeroDivisionError("poison")

    server.add_job(1, "one_box", numbered(0, 4))
    totals = make_worker(OneBox(choke)).run(until_idle=True)
    assert (totals.images, totals.failed) == (4, 1)
    assert server.result(1, "2")["error"] == "ZeroDivisionError: poison"
    assert all("detections" in server.result(1, image) for image in ("0", "1", "3"))


def test_only_one_batch_is_reserved_ahead(server: ContractServer, make_worker: MakeWorker) -> None:
    """While a batch is processed, at most that batch and the next one are under a lease."""
    ahead = []

    def look(images: Sequence[LoadedImage]) -> None:
        with server.lock:
            ahead.append(len(server.leases) - 4 * len(pipeline.batches))

    server.add_job(1, "one_box", numbered(0, 24))
    pipeline = OneBox(look)
    make_worker(pipeline, batch_size=4).run(until_idle=True)
    assert len(pipeline.batches) == 6
    assert all(0 <= images <= 4 for images in ahead)


def test_once_means_one_batch(server: ContractServer, make_worker: MakeWorker) -> None:
    server.add_job(1, "one_box", numbered(0, 10))
    totals = make_worker(batch_size=4).run(once=True)
    assert totals.images == 4
    assert len(server.pending[1]) == 6
    assert len(server.results[1]) == 4


def test_once_returns_when_there_is_nothing_to_do(server: ContractServer, make_worker: MakeWorker) -> None:
    assert make_worker().run(once=True).images == 0
    assert len(server.seen("/api/v2/jobs/")) == 1


def test_images_that_results_bring_back_are_done_before_the_worker_calls_itself_idle(
    server: ContractServer, make_worker: MakeWorker
) -> None:
    """A failed image may be handed out again; a poll that began before the post cannot know."""
    server.add_job(1, "one_box", numbered(0, 1))
    put_back: list[bool] = []

    def put_one_back(images: Sequence[LoadedImage]) -> None:
        if not put_back:
            put_back.append(True)
            wait_until(lambda: len(server.seen("/api/v2/jobs/1/tasks/")) >= 2)
            with server.lock:
                server.pending[1].append("0")

    pipeline = OneBox(put_one_back)
    totals = make_worker(pipeline).run(until_idle=True)
    assert pipeline.batches == [["0"], ["0"]]
    assert totals.statuses == {"queued": 1, "duplicate": 1}


def test_worker_outlives_a_server_that_is_away(server: ContractServer, make_worker: MakeWorker) -> None:
    server.add_job(1, "one_box", numbered(0, 4))
    server.fail("/api/v2/jobs/", 503, times=2, headers={"Retry-After": "60"})
    server.fail("/api/v2/jobs/1/tasks/", 503, times=1, headers={"Retry-After": "60"})
    server.fail("/api/v2/jobs/1/result/", 503, times=2, headers={"Retry-After": "60"})
    totals = make_worker().run(until_idle=True)
    assert totals.images == 4
    assert len(server.results[1]) == 4
    assert totals.not_delivered == 0


def test_run_that_should_end_says_when_the_server_stays_away(
    server: ContractServer, make_worker: MakeWorker
) -> None:
    server.fail("/api/v2/jobs/", 503, times=99)
    with pytest.raises(ServerBusy):
        make_worker().run(until_idle=True)


def test_results_that_the_server_never_takes_are_counted_and_work_goes_on(
    server: ContractServer, make_worker: MakeWorker, caplog: pytest.LogCaptureFixture
) -> None:
    server.add_job(1, "one_box", numbered(0, 8))
    server.fail("/api/v2/jobs/1/result/", 400, times=1)
    with caplog.at_level(logging.ERROR):
        totals = make_worker(batch_size=4).run(until_idle=True)
    assert totals.not_delivered == 4
    assert len(server.results[1]) == 4
    assert "hands these images out again" in caplog.text


def test_job_that_vanished_does_not_stop_the_others(server: ContractServer, make_worker: MakeWorker) -> None:
    server.add_job(1, "one_box", numbered(0, 2))
    server.add_job(2, "one_box", numbered(10, 2))
    server.fail("/api/v2/jobs/1/tasks/", 404, times=1)
    make_worker().run(until_idle=True)
    assert len(server.results[2]) == 2


def test_refused_token_ends_the_worker(server: ContractServer, make_worker: MakeWorker) -> None:
    with pytest.raises(NotAuthorised):
        make_worker(token="wrong").run()


def test_token_that_is_withdrawn_ends_the_worker(server: ContractServer, make_worker: MakeWorker) -> None:
    server.add_job(1, "one_box", numbered(0, 8))
    server.fail("/api/v2/jobs/1/result/", 401, times=9)
    with pytest.raises(NotAuthorised):
        make_worker().run()


def test_stop_finishes_and_posts_what_is_reserved(server: ContractServer, make_worker: MakeWorker) -> None:
    in_hand, may_go_on = threading.Event(), threading.Event()

    def hold(images: Sequence[LoadedImage]) -> None:
        in_hand.set()
        assert may_go_on.wait(DEADLINE)

    server.add_job(1, "one_box", numbered(0, 40))
    worker = make_worker(OneBox(hold), batch_size=4)
    with running(worker) as thread:
        assert in_hand.wait(DEADLINE)
        worker.stop.set()
        may_go_on.set()
        thread.join(DEADLINE)
        assert not thread.is_alive()
    with server.lock:
        reserved = {image for _, image in server.leases.values()}
        assert set(server.results[1]) == reserved
    assert 4 <= len(reserved) <= 8


def test_idle_worker_stops_at_once(server: ContractServer, make_worker: MakeWorker) -> None:
    worker = make_worker()
    worker._idle = RetryPolicy(first_delay=3600.0, max_delay=3600.0)
    with running(worker) as thread:
        wait_until(lambda: bool(server.seen("/api/v2/jobs/")))
        worker.stop.set()
        thread.join(DEADLINE)
        assert not thread.is_alive()


def test_lease_that_ran_out_is_reported(
    server: ContractServer, make_worker: MakeWorker, caplog: pytest.LogCaptureFixture
) -> None:
    server.lease_seconds = 0.0001
    server.add_job(1, "one_box", numbered(0, 1))
    with caplog.at_level(logging.WARNING):
        make_worker().run(until_idle=True)
    assert "smaller --batch-size" in caplog.text


def test_signed_addresses_and_tokens_stay_out_of_the_log(
    server: ContractServer, make_worker: MakeWorker, caplog: pytest.LogCaptureFixture
) -> None:
    server.add_job(1, "one_box", {"1": b"no picture", "2": image_file()})
    with caplog.at_level(logging.DEBUG, logger="ami"):
        make_worker().run(until_idle=True)
    assert "image failed" in caplog.text
    assert "signature=secret" not in caplog.text
    assert TOKEN not in caplog.text
