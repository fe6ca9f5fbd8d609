"""What the client does with answers, bad answers and no answers, against a real socket."""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from PIL import Image

from ami.ml.schemas import PipelineResultsError, PipelineTaskResult, TaskFailure
from ami.worker import bodies
from ami.worker import client as client_module
from ami.worker.client import AmiClient
from ami.worker.errors import (
    AnswerLost,
    BadAddress,
    NotAllowed,
    NotAuthorised,
    NotFound,
    RequestRefused,
    ServerBusy,
    ServerFailed,
    UnexpectedAnswer,
    Unreachable,
)
from ami.worker.pipeline import Classification, Found, LoadedImage
from ami.worker.pipelines.light_trap_contours import LightTrapContours
from ami.worker.results import success
from ami.worker.tests.conftest import DEADLINE, RecordedWaits, wait_until
from ami.worker.tests.contract_server import TOKEN, ContractServer, image_file
from ami.worker.transport import normalise_address

RESERVE = "/api/v2/tasks/reserve/"


def error_item(token: str, image_id: str = "1", text: str = "broken") -> PipelineTaskResult:
    return PipelineTaskResult(reply_subject=token, result=PipelineResultsError(error=text, image_id=image_id))


def wide_result(token: str, scores: int) -> PipelineTaskResult:
    pipeline, image = LightTrapContours(), LoadedImage("2", "http://x", Image.new("RGB", (8, 8)))
    whole = success(pipeline, image, [Found((0, 0, 4, 4), [Classification("moth", [1, 0, 0])])], 0.1)
    (found,) = whole.detections
    (verdict,) = found.classifications
    wide = verdict.model_copy(update={"scores": [number / scores for number in range(scores)]})
    found = found.model_copy(update={"classifications": [wide]})
    return PipelineTaskResult(reply_subject=token, result=whole.model_copy(update={"detections": [found]}))


@pytest.mark.parametrize(
    ("given", "base"),
    [
        ("http://localhost:8000", "http://localhost:8000/api/v2"),
        ("https://ami.example.org/", "https://ami.example.org/api/v2"),
        ("https://example.org/ami/api/v2/", "https://example.org/ami/api/v2"),
        ("https://ami:hunter2@example.org:8000", "https://example.org:8000/api/v2"),
    ],
)
def test_address_is_completed_with_the_path_of_the_api(given: str, base: str) -> None:
    assert normalise_address(given) == base


@pytest.mark.parametrize("given", ["localhost:8000", "ftp://example.org", "", "http://"])
def test_address_without_a_scheme_is_refused_with_an_example(given: str) -> None:
    with pytest.raises(BadAddress, match=r"looks like https://"):
        normalise_address(given)


def test_a_refusal_of_an_address_does_not_repeat_its_password() -> None:
    with pytest.raises(BadAddress, match=r"^'example.org' is not the address") as caught:
        normalise_address("ami:hunter2@example.org")
    assert "hunter2" not in str(caught.value)


def test_reservation_says_who_asks_for_what(client: AmiClient, server: ContractServer) -> None:
    server.add_job(3, "moths", {"1": image_file(), "2": image_file()})
    server.add_job(4, "flies", {"3": image_file()})
    server.add_job(5, "moths", {"4": image_file()}, config={"threshold": 0.3})
    answer = client.reserve(3, wait=2, pipelines=["moths", "beetles"])
    assert [(task.job_id, task.pipeline_slug, task.image_id) for task in answer.tasks] == [
        (3, "moths", "1"),
        (3, "moths", "2"),
        (5, "moths", "4"),
    ]
    assert answer.tasks[2].config == {"threshold": 0.3}
    assert (answer.lease_seconds, answer.tasks[0].attempt) == (300.0, 1)
    (request,) = server.seen(RESERVE)
    assert request.headers["X-Processing-Service-Name"] == "gpu-01"
    assert request.body["batch_size"] == 3
    assert request.body["wait"] == 2
    assert request.body["pipelines"] == ["moths", "beetles"]


def test_reservation_without_pipelines_is_for_all(client: AmiClient, server: ContractServer) -> None:
    server.add_job(3, "moths", {"1": image_file()})
    assert len(client.reserve(3).tasks) == 1
    (request,) = server.seen(RESERVE)
    assert "pipelines" not in request.body


def test_empty_answer_says_when_to_ask_again(client: AmiClient, server: ContractServer) -> None:
    server.retry_after = 12.0
    answer = client.reserve(3)
    assert (answer.tasks, answer.retry_after, answer.reason) == ([], 12.0, "Nothing to do.")


def test_server_may_wait_for_work(client: AmiClient, server: ContractServer) -> None:
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(client.reserve, 3, wait=20)
        wait_until(lambda: bool(server.seen(RESERVE)))
        server.add_job(3, "moths", {"1": image_file()})
        assert len(answer.result(DEADLINE).tasks) == 1


def test_job_by_job_for_those_who_like_that(client: AmiClient, server: ContractServer) -> None:
    assert client.next_job().job is None
    server.add_job(3, "moths", {"1": image_file(), "2": image_file()})
    assert client.next_job(["flies"]).job is None
    turn = client.next_job(["moths"])
    assert turn.job is not None
    assert (turn.job.id, turn.job.pipeline_slug, turn.batch_size) == (3, "moths", 24)
    (task,) = client.reserve_from(3, 1)
    assert (task.image_id, task.lease_seconds) == ("1", 300.0)


def test_leases_are_extended_released_and_failed(client: AmiClient, server: ContractServer) -> None:
    server.add_job(3, "moths", {str(number): image_file() for number in range(4)})
    tokens = [task.reply_subject for task in client.reserve(4).tasks]
    server.lose(tokens[3])
    states = client.extend([*tokens, "forged"])
    assert [state.status for state in states.leases] == ["held", "held", "held", "lost", "rejected"]
    assert states.lease_seconds == 300.0
    assert [state.status for state in client.release([tokens[0]]).leases] == ["released"]
    failures = [
        TaskFailure(reply_subject=tokens[1], error="no pipeline", retryable=True, code="worker_error"),
        TaskFailure(reply_subject=tokens[2], error="never", retryable=False),
    ]
    assert [task.status for task in client.fail(failures)] == ["retry", "failed"]
    server.cancel(3)
    (state,) = client.extend(tokens[:1]).leases
    assert state.cancelled


def test_many_leases_go_in_several_calls(
    client: AmiClient, server: ContractServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "LEASES_PER_CALL", 2)
    states = client.extend(["a", "b", "c"]).leases
    assert [state.reply_subject for state in states] == ["a", "b", "c"]
    assert [len(request.body["leases"]) for request in server.seen("/api/v2/tasks/extend/")] == [2, 1]
    assert client.extend([]).leases == []


def test_every_post_says_who_calls(
    server: ContractServer, stop: RecordedWaits, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AMI_WORKER_INSTANCE", raising=False)
    server.add_job(3, "moths", {"1": image_file()})
    client = AmiClient(server.base, TOKEN, service_name="gpu-01", stop=stop)
    client.register(7, [LightTrapContours().announcement()])
    client.next_job()
    (task,) = client.reserve(1).tasks
    client.reserve_from(3, 1)
    client.extend([task.reply_subject])
    client.fail([TaskFailure(reply_subject="x", error="x")])
    client.post_results(3, [error_item(task.reply_subject)])
    client.release([task.reply_subject])
    client.close()
    posts = [request for request in server.requests if request.method == "POST"]
    assert len(posts) == 8
    for request in posts:
        info = request.body["client_info"]
        assert set(info) == {"name", "instance", "hostname", "software", "version", "platform"}
        assert (info["name"], info["instance"]) == ("gpu-01", socket.gethostname())


def test_instance_comes_from_the_environment_or_the_caller(
    server: ContractServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AMI_WORKER_INSTANCE", "card-2")
    assert AmiClient(server.base, TOKEN).client_info()["instance"] == "card-2"
    assert AmiClient(server.base, TOKEN, instance="card-3").client_info()["instance"] == "card-3"


def test_registering_sends_the_announcement_and_tells_what_is_new(
    client: AmiClient, server: ContractServer
) -> None:
    answer = client.register(7, [LightTrapContours().announcement()])
    assert answer.pipelines_created == ["light_trap_contours"]
    (body,) = server.registered
    assert body["processing_service_name"] == "gpu-01"
    kinds = [algorithm["task_type"] for algorithm in body["pipelines"][0]["algorithms"]]
    assert kinds == ["localization", "classification"]


def test_busy_server_is_left_alone_as_long_as_it_asks(
    client: AmiClient, server: ContractServer, stop: RecordedWaits
) -> None:
    server.fail("/api/v2/projects/", 503, times=2, headers={"Retry-After": "7"})
    assert [project.id for project in client.projects()] == [7]
    assert len(stop.waits) == 2
    assert all(7 <= wait <= 7 * 1.2 for wait in stop.waits)


def test_busy_server_is_given_up_after_the_last_attempt(
    client: AmiClient, server: ContractServer, stop: RecordedWaits
) -> None:
    server.fail("/api/v2/projects/", 503, times=99)
    with pytest.raises(ServerBusy, match="scripted"):
        client.projects()
    assert len(server.seen("/api/v2/projects/")) == 5
    assert sorted(stop.waits) == stop.waits
    assert stop.waits[-1] > stop.waits[0]


def test_retries_end_when_the_worker_is_told_to_stop(
    client: AmiClient, server: ContractServer, stop: RecordedWaits
) -> None:
    stop.set()
    server.fail("/api/v2/projects/", 503, times=99)
    with pytest.raises(ServerBusy):
        client.projects()
    assert len(server.seen("/api/v2/projects/")) == 1


@pytest.mark.parametrize("status", [None, 500, 502, 504])
def test_reservation_whose_answer_was_lost_is_not_repeated(
    client: AmiClient, server: ContractServer, status: int | None
) -> None:
    """A gateway that gave up on the server says 502 or 504 while the server hands tasks out."""
    server.add_job(3, "moths", {"1": image_file(), "2": image_file()})
    server.fail(RESERVE, status, after_effect=True)
    with pytest.raises((AnswerLost, ServerFailed)):
        client.reserve(1)
    assert len(server.seen(RESERVE)) == 1
    server.fail("/api/v2/jobs/3/tasks/", status, after_effect=True)
    with pytest.raises((AnswerLost, ServerFailed)):
        client.reserve_from(3, 1)


@pytest.mark.parametrize("status", [429, 503])
def test_reservation_refused_by_a_busy_server_is_repeated(
    client: AmiClient, server: ContractServer, stop: RecordedWaits, status: int
) -> None:
    server.add_job(3, "moths", {"1": image_file()})
    server.fail(RESERVE, status, headers={"Retry-After": "9"})
    assert len(client.reserve(1).tasks) == 1
    (wait,) = stop.waits
    assert 9 <= wait <= 9 * 1.2


def test_results_whose_receipt_was_lost_are_posted_again_and_count_once(
    client: AmiClient, server: ContractServer
) -> None:
    server.add_job(3, "moths", {"1": image_file()})
    (task,) = client.reserve(1).tasks
    server.fail("/api/v2/jobs/3/result/", None, after_effect=True)
    (receipt,) = client.post_results(3, [error_item(task.reply_subject)])
    assert receipt.status == "duplicate"
    first, second = server.seen("/api/v2/jobs/3/result/")
    assert first.body == second.body


def test_results_survive_a_longer_outage_than_a_poll_does(
    client: AmiClient, server: ContractServer, stop: RecordedWaits
) -> None:
    server.add_job(3, "moths", {"1": image_file()})
    (task,) = client.reserve(1).tasks
    server.fail("/api/v2/jobs/3/result/", 502, times=9)
    (receipt,) = client.post_results(3, [error_item(task.reply_subject)])
    assert receipt.status == "queued"
    assert len(stop.waits) == 9


def test_results_are_given_up_soon_after_a_stop(
    client: AmiClient, server: ContractServer, stop: RecordedWaits
) -> None:
    stop.set()
    server.add_job(3, "moths", {})
    server.fail("/api/v2/jobs/3/result/", 503, times=99, headers={"Retry-After": "60"})
    with pytest.raises(ServerBusy):
        client.post_results(3, [error_item("lease")])
    assert len(server.seen("/api/v2/jobs/3/result/")) == 1


def test_large_results_go_in_several_posts(
    client: AmiClient, server: ContractServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies, "MAX_POST_BYTES", 300)
    server.add_job(3, "moths", {str(number): image_file() for number in range(5)})
    tasks = client.reserve(5).tasks
    receipts = client.post_results(
        3, [error_item(task.reply_subject, task.image_id, "x" * 60) for task in tasks]
    )
    assert [receipt.status for receipt in receipts] == ["queued"] * 5
    sizes = [len(request.body["results"]) for request in server.seen("/api/v2/jobs/3/result/")]
    assert sizes == [2, 2, 1]


@pytest.mark.parametrize("compress", [True, False])
def test_large_results_are_packed_unless_that_is_switched_off(server: ContractServer, compress: bool) -> None:
    server.add_job(3, "moths", {"1": image_file(), "2": image_file()})
    client = AmiClient(server.base, TOKEN, compress=compress)
    tasks = client.reserve(2).tasks
    small, large = (error_item(task.reply_subject, task.image_id) for task in tasks)
    client.post_results(3, [small])
    (receipt,) = client.post_results(3, [wide_result(large.reply_subject, scores=20_000)])
    client.close()
    assert receipt.status == "queued"
    plain, packed = server.seen("/api/v2/jobs/3/result/")
    assert "Content-Encoding" not in plain.headers
    assert packed.headers.get("Content-Encoding") == ("gzip" if compress else None)
    assert (packed.size < 100_000) == compress
    assert len(server.result(3, "2")["detections"][0]["classifications"][0]["scores"]) == 20_000


def test_nobody_listens(stop: RecordedWaits) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(Unreachable, match=r"Connection refused\. Is the server running"):
        AmiClient(f"http://127.0.0.1:{port}", TOKEN, stop=stop).projects()
    assert len(stop.waits) == 4


def test_wrong_token(server: ContractServer) -> None:
    with pytest.raises(NotAuthorised, match="AMI_TOKEN"):
        AmiClient(server.base, "wrong").projects()
    assert len(server.seen("/api/v2/projects/")) == 1


def test_token_never_shows_in_an_error(server: ContractServer) -> None:
    with pytest.raises(NotAuthorised) as caught:
        AmiClient(server.base, "very-secret").projects()
    assert "very-secret" not in str(caught.value) + repr(caught.value.__cause__)


@pytest.mark.parametrize(
    ("status", "error", "words"),
    [
        (400, RequestRefused, "scripted"),
        (403, NotAllowed, "Ask the operator"),
        (404, NotFound, "usually ends in /api/v2"),
        (418, RequestRefused, "418"),
    ],
)
def test_refusals_are_said_in_words_and_not_retried(
    client: AmiClient, server: ContractServer, status: int, error: type[Exception], words: str
) -> None:
    server.fail("/api/v2/projects/", status)
    with pytest.raises(error, match=words):
        client.projects()
    assert len(server.seen("/api/v2/projects/")) == 1


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'["Only async_api jobs have fetchable tasks"]', "Only async_api jobs"),
        (b'{"pipelines":[{"loc":["0","slug"],"msg":"field required"}]}', "pipelines: .*field required"),
        (b"<h1>Bad Request</h1>", "Bad Request"),
    ],
)
def test_every_shape_of_a_refusal_is_readable(
    client: AmiClient, server: ContractServer, body: bytes, words: str
) -> None:
    server.fail(RESERVE, 400, body=body)
    with pytest.raises(RequestRefused, match=words):
        client.reserve(1)


def test_web_page_instead_of_the_api(client: AmiClient, server: ContractServer) -> None:
    server.fail("/api/v2/projects/", 200, body=b"<html>Welcome to nginx</html>")
    with pytest.raises(UnexpectedAnswer, match="not as an AMI server does"):
        client.projects()


def test_redirected_post_says_which_address_to_use(client: AmiClient, server: ContractServer) -> None:
    server.fail(RESERVE, 301, headers={"Location": "https://new.example.org/api/v2/tasks/reserve/"})
    with pytest.raises(UnexpectedAnswer, match=r"https://new\.example\.org"):
        client.reserve(1)


def test_netrc_does_not_replace_the_token(
    client: AmiClient, server: ContractServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    assert [project.id for project in client.projects()] == [7]
    (request,) = server.seen("/api/v2/projects/")
    assert request.headers["Authorization"] == f"Token {TOKEN}"


def test_name_that_no_header_can_hold_is_sent_in_part(server: ContractServer) -> None:
    AmiClient(server.base, TOKEN, service_name="Käfer-Rechner").projects()
    (request,) = server.seen("/api/v2/projects/")
    assert request.headers["X-Processing-Service-Name"] == "K?fer-Rechner"
