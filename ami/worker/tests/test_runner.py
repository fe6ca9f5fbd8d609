"""The loop of a worker against a server that speaks the contract over a socket."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from ami.worker import feed
from ami.worker.client import AmiClient
from ami.worker.download import Downloader
from ami.worker.errors import NotAuthorised, ServerBusy
from ami.worker.leases import Leases, News
from ami.worker.pipeline import Found, LoadedImage, Pipeline, detector
from ami.worker.retrying import RetryPolicy
from ami.worker.runner import Worker
from ami.worker.tests.conftest import DEADLINE, wait_until
from ami.worker.tests.contract_server import TOKEN, ContractServer, image_file

RESERVE = "/api/v2/tasks/reserve/"
EXTEND = "/api/v2/tasks/extend/"
RELEASE = "/api/v2/tasks/release/"
FAST = RetryPolicy(attempts=3, first_delay=0.01, max_delay=0.02, max_retry_after=0.02)


class OneBox(Pipeline):
    """Finds one box on every image, and lets a test look on."""

    slug = "one_box"
    name = "One box"
    algorithms = (detector("one_box_detector", "One box"),)

    def __init__(self, look: Callable[[Sequence[LoadedImage]], None] = lambda images: None) -> None:
        self.look = look
        self.batches: list[list[str]] = []
        self.set_up = 0
        self.configs: list[dict[str, Any]] = []

    def setup(self) -> None:
        self.set_up += 1

    def process(self, images: Sequence[LoadedImage]) -> Sequence[Sequence[Found]]:
        assert self.set_up == 1
        self.batches.append([image.id for image in images])
        self.configs += [image.config for image in images]
        self.look(images)
        return [[Found((1, 1, 9, 9))] for _ in images]


class FirstPause(threading.Event):
    """A stop that comes with the first pause, and writes down how long that would have been."""

    pause: float | None = None

    def wait(self, timeout: float | None = None) -> bool:
        if timeout is not None:
            self.pause = timeout
            self.set()
        return super().wait()


class OtherBox(OneBox):
    """The same under another name."""

    slug = "other_box"


@pytest.fixture
def make_worker(server: ContractServer) -> Iterator[Callable[..., Worker]]:
    clients = []

    def make(*pipelines: Pipeline, batch_size: int = 4, token: str = TOKEN, **options: Any) -> Worker:
        stop = options.pop("stop", None) or threading.Event()
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
            **options,
        )

    yield make
    for client in clients:
        client.close()


MakeWorker = Callable[..., Worker]


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


def test_batches_are_of_one_pipeline_with_one_set_of_settings(
    server: ContractServer, make_worker: MakeWorker
) -> None:
    """One reservation over all jobs; jobs whose settings are the same are processed together."""
    other = OtherBox()
    one = OneBox()
    server.add_job(1, "one_box", numbered(0, 2))
    server.add_job(2, "other_box", numbered(10, 2))
    server.add_job(3, "one_box", numbered(20, 2))
    server.add_job(4, "one_box", numbered(30, 2), config={"threshold": 0.3})
    make_worker(one, other, batch_size=8).run(until_idle=True)
    assert [sorted(batch) for batch in one.batches] == [["0", "1", "20", "21"], ["30", "31"]]
    assert [sorted(batch) for batch in other.batches] == [["10", "11"]]
    assert one.configs == [{}] * 4 + [{"threshold": 0.3}] * 2
    assert len(server.seen("/api/v2/jobs/1/result/")) == len(server.seen("/api/v2/jobs/3/result/")) == 1
    assert {job: len(results) for job, results in server.results.items()} == {1: 2, 2: 2, 3: 2, 4: 2}


def test_task_for_a_pipeline_that_is_not_loaded_is_failed_and_may_be_tried_elsewhere(
    server: ContractServer, make_worker: MakeWorker
) -> None:
    server.add_job(1, "one_box", numbered(0, 1))
    server.ignore_pipelines = True
    server.add_job(2, "somebody_elses", numbered(10, 1))
    totals = make_worker().run(until_idle=True)
    assert totals.images == 1
    assert server.results[2] == {}
    assert server.failed["10"]["retryable"] is True
    assert server.failed["10"]["code"] == "worker_error"


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
    (request,) = server.seen(RESERVE)
    assert request.body["wait"] == 0


def test_images_that_results_bring_back_are_done_before_the_worker_calls_itself_idle(
    server: ContractServer, make_worker: MakeWorker
) -> None:
    """A failed image may be handed out again; a poll that began before the post cannot know."""
    server.add_job(1, "one_box", numbered(0, 1))
    put_back: list[bool] = []

    def put_one_back(images: Sequence[LoadedImage]) -> None:
        if not put_back:
            put_back.append(True)
            wait_until(lambda: len(server.seen(RESERVE)) >= 2)
            with server.lock:
                server.pending[1].append("0")

    pipeline = OneBox(put_one_back)
    totals = make_worker(pipeline).run(until_idle=True)
    assert pipeline.batches == [["0"], ["0"]]
    assert totals.statuses == {"queued": 1, "duplicate": 1}
    assert all(request.body["wait"] == 0 for request in server.seen(RESERVE))


def test_worker_outlives_a_server_that_is_away(server: ContractServer, make_worker: MakeWorker) -> None:
    server.add_job(1, "one_box", numbered(0, 4))
    server.fail(RESERVE, 503, times=2, headers={"Retry-After": "60"})
    server.fail("/api/v2/jobs/1/result/", 429, times=2, headers={"Retry-After": "60"})
    totals = make_worker().run(until_idle=True)
    assert totals.images == 4
    assert len(server.results[1]) == 4
    assert totals.not_delivered == 0


def test_run_that_should_end_says_when_the_server_stays_away(
    server: ContractServer, make_worker: MakeWorker
) -> None:
    server.fail(RESERVE, 503, times=99)
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


def test_job_that_vanished_does_not_take_the_results_of_others_with_it(
    server: ContractServer, make_worker: MakeWorker
) -> None:
    server.add_job(1, "one_box", numbered(0, 2))
    server.add_job(2, "one_box", numbered(10, 2))
    server.fail("/api/v2/jobs/1/result/", 404, times=1)
    totals = make_worker().run(until_idle=True)
    assert len(server.results[2]) == 2
    assert totals.not_delivered == 2


def test_refused_token_ends_the_worker(server: ContractServer, make_worker: MakeWorker) -> None:
    with pytest.raises(NotAuthorised):
        make_worker(token="wrong").run()


def test_token_that_is_withdrawn_ends_the_worker(server: ContractServer, make_worker: MakeWorker) -> None:
    server.add_job(1, "one_box", numbered(0, 8))
    server.fail("/api/v2/jobs/1/result/", 401, times=9)
    with pytest.raises(NotAuthorised):
        make_worker().run()


def test_waiting_poll_takes_up_a_new_job(server: ContractServer, make_worker: MakeWorker) -> None:
    with running(make_worker(wait=20.0)):
        wait_until(lambda: server.seen(RESERVE))
        server.add_job(1, "one_box", numbered(0, 2))
        wait_until(lambda: len(server.results[1]) == 2)
        (first, *_) = server.seen(RESERVE)
        assert first.body["wait"] == 20.0


def test_server_decides_when_an_idle_worker_asks_again(
    server: ContractServer, make_worker: MakeWorker
) -> None:
    server.retry_after = 30.0
    stop = FirstPause()
    make_worker(wait=0.01, stop=stop).run()
    assert len(server.seen(RESERVE)) == 1
    assert stop.pause is not None
    assert 30 <= stop.pause <= 36


def test_empty_answers_without_a_wait_do_not_make_a_storm(
    server: ContractServer, make_worker: MakeWorker
) -> None:
    server.closing = True  # it answers at once, whatever wait it is asked for
    stop = FirstPause()
    make_worker(wait=20.0, stop=stop).run()
    assert stop.pause is not None
    assert 0.5 < stop.pause <= 1.0


def test_heartbeat_keeps_the_leases_of_a_batch_that_takes_longer(
    server: ContractServer, make_worker: MakeWorker
) -> None:
    """Of the batch in process, and of the one that waits for it."""
    server.lease_seconds = 0.6

    def hold(images: Sequence[LoadedImage]) -> None:
        if len(pipeline.batches) == 1:
            wait_until(lambda: len(server.leases) == 8)
            with server.lock:
                leases = list(server.leases.values())
            wait_until(lambda: all(lease.extended >= 6 for lease in leases))

    server.add_job(1, "one_box", numbered(0, 8))
    pipeline = OneBox(hold)
    totals = make_worker(pipeline, batch_size=4).run(until_idle=True)
    assert totals.statuses == {"queued": 8}
    assert {lease.attempt for lease in server.leases.values()} == {1}
    assert len(server.tokens("done")) == 8


def test_what_was_posted_is_not_extended_any_more(server: ContractServer, make_worker: MakeWorker) -> None:
    server.lease_seconds = 0.6

    def hold(images: Sequence[LoadedImage]) -> None:
        if len(pipeline.batches) == 2:
            wait_until(lambda: len(server.results[1]) == 2)
            beats = len(server.seen(EXTEND))
            wait_until(lambda: len(server.seen(EXTEND)) >= beats + 3)

    server.add_job(1, "one_box", numbered(0, 4))
    pipeline = OneBox(hold)
    make_worker(pipeline, batch_size=2).run(until_idle=True)
    last = server.seen(EXTEND)[-1]
    assert set(last.body["leases"]) == {"lease-1-2-1", "lease-1-3-1"}


def test_errors_do_not_end_the_heartbeat(
    server: ContractServer, make_worker: MakeWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not those of the server, not those of our own making; and the lease outlives them."""
    server.lease_seconds = 1.5
    server.fail(EXTEND, 500)
    server.fail(EXTEND, 200, body=b"<html>")
    note = Leases.note
    raised: list[bool] = []

    def note_badly(self: Leases, *arguments: Any) -> News:
        if not raised:
            raised.append(True)
            raise ZeroDivisionError("a bug")
        return note(self, *arguments)

    monkeypatch.setattr(Leases, "note", note_badly)

    def hold(images: Sequence[LoadedImage]) -> None:
        wait_until(lambda: len(server.seen(EXTEND)) >= 6)

    server.add_job(1, "one_box", numbered(0, 1))
    totals = make_worker(OneBox(hold)).run(until_idle=True)
    assert raised
    assert totals.statuses == {"queued": 1}
    assert len(server.leases) == 1


def test_heartbeat_stays_away_as_long_as_the_server_asks(
    server: ContractServer, make_worker: MakeWorker
) -> None:
    server.lease_seconds = 0.3
    server.fail(EXTEND, 429, headers={"Retry-After": "1"})
    times: list[float] = []

    def hold(images: Sequence[LoadedImage]) -> None:
        if pipeline.batches[:-1]:
            return
        wait_until(lambda: len(server.seen(EXTEND)) >= 1)
        times.append(time.monotonic())
        wait_until(lambda: len(server.seen(EXTEND)) >= 2)
        times.append(time.monotonic())

    server.add_job(1, "one_box", numbered(0, 1))
    pipeline = OneBox(hold)
    make_worker(pipeline).run(until_idle=True)
    assert times[1] - times[0] > 0.9


def test_cancelled_job_is_noticed_by_the_next_heartbeat_and_nothing_more_is_posted(
    server: ContractServer, make_worker: MakeWorker
) -> None:
    """What waits is dropped before the pipeline sees it; what is in process is not posted."""
    server.lease_seconds = 1.5

    def cancel(images: Sequence[LoadedImage]) -> None:
        wait_until(lambda: len(worker._leases.held()) == 8)
        beats = len(server.seen(EXTEND))
        server.cancel(1)
        wait_until(lambda: not worker._leases.held())
        assert len(server.seen(EXTEND)) <= beats + 2  # one may have been on its way at the cancel

    server.add_job(1, "one_box", numbered(0, 12))
    pipeline = OneBox(cancel)
    worker = make_worker(pipeline, batch_size=4)
    totals = worker.run(until_idle=True)
    assert len(pipeline.batches) == 1
    assert server.seen("/api/v2/jobs/1/result/") == []
    assert (totals.dropped, totals.not_delivered) == (8, 0)
    assert server.seen(RELEASE) == []


def test_cancelled_job_does_not_hold_up_the_results_of_another(
    server: ContractServer, make_worker: MakeWorker
) -> None:
    server.lease_seconds = 0.6

    def cancel(images: Sequence[LoadedImage]) -> None:
        server.cancel(1)
        wait_until(lambda: len(worker._leases.held()) == 2)

    server.add_job(1, "one_box", numbered(0, 2))
    server.add_job(2, "one_box", numbered(10, 2))
    worker = make_worker(OneBox(cancel))
    worker.run(until_idle=True)
    assert server.seen("/api/v2/jobs/1/result/") == []
    assert set(server.results[2]) == {"10", "11"}


def test_lost_lease_drops_what_has_not_begun_and_posts_what_has(
    server: ContractServer, make_worker: MakeWorker, caplog: pytest.LogCaptureFixture
) -> None:
    """The server takes the first result of an image, so what is in process may still be of use."""
    server.lease_seconds = 0.6

    def lose(images: Sequence[LoadedImage]) -> None:
        if len(pipeline.batches) == 1:
            wait_until(lambda: len(worker._leases.held()) == 4)
            server.lose("lease-1-0-1")
            server.lose("lease-1-2-1")
            wait_until(lambda: len(worker._leases.held()) == 2)

    server.add_job(1, "one_box", numbered(0, 4))
    pipeline = OneBox(lose)
    worker = make_worker(pipeline, batch_size=2)
    with caplog.at_level(logging.WARNING):
        totals = worker.run(until_idle=True)
    assert pipeline.batches == [["0", "1"], ["3"]]
    assert set(server.results[1]) == {"0", "1", "3"}
    assert totals.dropped == 1
    assert "lease lost" in caplog.text


def test_results_are_posted_once(server: ContractServer, make_worker: MakeWorker) -> None:
    server.add_job(1, "one_box", numbered(0, 20))
    make_worker(batch_size=4).run(until_idle=True)
    posted = [
        item["reply_subject"]
        for request in server.seen("/api/v2/jobs/1/result/")
        for item in request.body["results"]
    ]
    assert len(posted) == len(set(posted)) == 20


def test_reservation_whose_answer_was_lost_comes_back_with_the_end_of_its_leases(
    server: ContractServer, make_worker: MakeWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.lease_seconds = 0.5
    monkeypatch.setattr(feed, "OUTAGE", FAST)
    server.add_job(1, "one_box", numbered(0, 3))
    server.fail(RESERVE, None, after_effect=True)
    with running(make_worker(wait=20.0)):
        wait_until(lambda: len(server.results[1]) == 3)
    assert len(server.seen(RESERVE)) <= 4
    assert {lease.attempt for lease in server.leases.values() if lease.status == "done"} == {2}


def test_stop_posts_what_is_in_process_and_releases_what_is_not(
    server: ContractServer, make_worker: MakeWorker
) -> None:
    def hold(images: Sequence[LoadedImage]) -> None:
        wait_until(lambda: len(server.leases) == 8)
        worker.stop.set()
        wait_until(lambda: len(server.tokens("released")) == 4)

    server.add_job(1, "one_box", numbered(0, 40))
    worker = make_worker(OneBox(hold), batch_size=4)
    totals = worker.run()
    assert set(server.results[1]) == {"0", "1", "2", "3"}
    assert set(server.tokens("released")) == {"4", "5", "6", "7"}
    assert totals.images == 4
    assert len(server.seen(RESERVE)) == 2


def test_batch_that_outlasts_the_grace_time_is_given_back_and_not_posted(
    server: ContractServer, make_worker: MakeWorker
) -> None:
    overdue = threading.Event()

    def hold(images: Sequence[LoadedImage]) -> None:
        worker.stop.set()
        assert overdue.wait(DEADLINE)

    server.add_job(1, "one_box", numbered(0, 2))
    worker = make_worker(OneBox(hold), grace=0.1, overdue=overdue.set)
    totals = worker.run()
    assert set(server.tokens("released")) == {"0", "1"}
    assert server.seen("/api/v2/jobs/1/result/") == []
    assert totals.dropped == 2


def test_results_on_their_way_when_the_stop_comes_are_waited_for(
    server: ContractServer, make_worker: MakeWorker
) -> None:
    server.add_job(1, "one_box", numbered(0, 1))
    server.fail("/api/v2/jobs/1/result/", 503, times=1)
    worker = make_worker()
    with running(worker) as thread:
        wait_until(lambda: server.seen("/api/v2/jobs/1/result/"))
        worker.stop.set()
        thread.join(DEADLINE)
        assert not thread.is_alive()
    assert set(server.results[1]) == {"0"}


def test_stop_ends_a_waiting_poll_at_once(server: ContractServer, make_worker: MakeWorker) -> None:
    worker = make_worker(wait=30.0)
    with running(worker) as thread:
        wait_until(lambda: server.seen(RESERVE))
        worker.stop.set()
        thread.join(5.0)
        assert not thread.is_alive()


def test_tasks_that_come_after_the_stop_are_released(server: ContractServer, make_worker: MakeWorker) -> None:
    worker = make_worker(wait=30.0)
    with running(worker) as thread:
        wait_until(lambda: server.seen(RESERVE))
        worker.stop.set()
        thread.join(5.0)
        server.add_job(1, "one_box", numbered(0, 2))
        wait_until(lambda: len(server.tokens("released")) == 2)
    assert server.results[1] == {}


def test_worker_that_fails_gives_back_what_it_has(server: ContractServer, make_worker: MakeWorker) -> None:
    class Broken(OneBox):
        @property
        def detector(self) -> Any:
            raise KeyboardInterrupt  # what no pipeline should raise, and nothing catches

    server.add_job(1, "one_box", numbered(0, 2))
    with pytest.raises(KeyboardInterrupt):
        make_worker(Broken()).run()
    assert set(server.tokens("released")) == {"0", "1"}


def test_signed_addresses_and_tokens_stay_out_of_the_log(
    server: ContractServer, make_worker: MakeWorker, caplog: pytest.LogCaptureFixture
) -> None:
    server.add_job(1, "one_box", {"1": b"no picture", "2": image_file()})
    with caplog.at_level(logging.DEBUG, logger="ami"):
        make_worker().run(until_idle=True)
    assert "image failed" in caplog.text
    assert "signature=secret" not in caplog.text
    assert TOKEN not in caplog.text
