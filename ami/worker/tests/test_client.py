"""What the client does with answers, bad answers and no answers, against a real socket."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from ami.ml.schemas import PipelineResultsError, PipelineTaskResult
from ami.worker import client as client_module
from ami.worker.client import AmiClient, normalise_address
from ami.worker.errors import (
    AnswerLost,
    BadAddress,
    NotAllowed,
    NotAuthorised,
    NotFound,
    RequestRefused,
    ServerBusy,
    UnexpectedAnswer,
    Unreachable,
)
from ami.worker.pipelines.light_trap_contours import LightTrapContours
from ami.worker.tests.conftest import RecordedWaits
from ami.worker.tests.contract_server import TOKEN, ContractServer, image_file


def error_item(token: str, image_id: str = "1", text: str = "broken") -> PipelineTaskResult:
    return PipelineTaskResult(reply_subject=token, result=PipelineResultsError(error=text, image_id=image_id))


@pytest.mark.parametrize(
    ("given", "base"),
    [
        ("http://localhost:8000", "http://localhost:8000/api/v2"),
        ("https://ami.example.org/", "https://ami.example.org/api/v2"),
        ("https://example.org/ami/api/v2/", "https://example.org/ami/api/v2"),
    ],
)
def test_address_is_completed_with_the_path_of_the_api(given: str, base: str) -> None:
    assert normalise_address(given) == base


@pytest.mark.parametrize("given", ["localhost:8000", "ftp://example.org", "", "http://"])
def test_address_without_a_scheme_is_refused_with_an_example(given: str) -> None:
    with pytest.raises(BadAddress, match=r"looks like https://"):
        normalise_address(given)


def test_jobs_are_asked_for_as_the_contract_says(client: AmiClient, server: ContractServer) -> None:
    server.add_job(3, "moths", {"1": image_file()})
    server.add_job(4, "flies", {"2": image_file()})
    assert [(job.id, job.pipeline_slug) for job in client.jobs(["moths", "beetles"])] == [(3, "moths")]
    (request,) = server.seen("/api/v2/jobs/")
    assert request.query["ids_only"] == request.query["incomplete_only"] == ["1"]
    assert request.query["dispatch_mode"] == ["async_api"]
    assert request.headers["X-Processing-Service-Name"] == "gpu-01"


def test_reservation_says_who_asks(client: AmiClient, server: ContractServer) -> None:
    server.add_job(3, "moths", {"1": image_file(), "2": image_file()})
    (task,) = client.reserve(3, 1)
    assert task.image_id == "1"
    (request,) = server.seen("/api/v2/jobs/3/tasks/")
    info = request.body["client_info"]
    assert info["name"] == "gpu-01"
    assert info["instance"].startswith(socket.gethostname() + ":")


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
    server.fail("/api/v2/jobs/", 503, times=2, headers={"Retry-After": "7"})
    assert client.jobs(["moths"]) == []
    assert len(stop.waits) == 2
    assert all(7 <= wait <= 7 * 1.2 for wait in stop.waits)


def test_busy_server_is_given_up_after_the_last_attempt(
    client: AmiClient, server: ContractServer, stop: RecordedWaits
) -> None:
    server.fail("/api/v2/jobs/", 503, times=99)
    with pytest.raises(ServerBusy, match="scripted"):
        client.jobs(["moths"])
    assert len(server.seen("/api/v2/jobs/")) == 5
    assert sorted(stop.waits) == stop.waits
    assert stop.waits[-1] > stop.waits[0]


def test_retries_end_when_the_worker_is_told_to_stop(
    client: AmiClient, server: ContractServer, stop: RecordedWaits
) -> None:
    stop.set()
    server.fail("/api/v2/jobs/", 503, times=99)
    with pytest.raises(ServerBusy):
        client.jobs(["moths"])
    assert len(server.seen("/api/v2/jobs/")) == 1


def test_reservation_whose_answer_was_lost_is_not_repeated(client: AmiClient, server: ContractServer) -> None:
    server.add_job(3, "moths", {"1": image_file(), "2": image_file()})
    server.fail("/api/v2/jobs/3/tasks/", None, after_effect=True)
    with pytest.raises(AnswerLost):
        client.reserve(3, 1)
    assert len(server.seen("/api/v2/jobs/3/tasks/")) == 1


def test_reservation_refused_by_a_busy_server_is_repeated(client: AmiClient, server: ContractServer) -> None:
    server.add_job(3, "moths", {"1": image_file()})
    server.fail("/api/v2/jobs/3/tasks/", 503)
    assert len(client.reserve(3, 1)) == 1


def test_results_whose_receipt_was_lost_are_posted_again_and_count_once(
    client: AmiClient, server: ContractServer
) -> None:
    server.add_job(3, "moths", {"1": image_file()})
    (task,) = client.reserve(3, 1)
    server.fail("/api/v2/jobs/3/result/", None, after_effect=True)
    (receipt,) = client.post_results(3, [error_item(task.reply_subject or "")])
    assert receipt.status == "duplicate"
    first, second = server.seen("/api/v2/jobs/3/result/")
    assert first.body == second.body


def test_results_survive_a_longer_outage_than_a_poll_does(
    client: AmiClient, server: ContractServer, stop: RecordedWaits
) -> None:
    server.add_job(3, "moths", {"1": image_file()})
    (task,) = client.reserve(3, 1)
    server.fail("/api/v2/jobs/3/result/", 502, times=9)
    (receipt,) = client.post_results(3, [error_item(task.reply_subject or "")])
    assert receipt.status == "queued"
    assert len(stop.waits) == 9


def test_results_are_given_up_soon_after_a_stop(
    client: AmiClient, server: ContractServer, stop: RecordedWaits, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "GRACE_SECONDS", -1.0)
    stop.set()
    server.add_job(3, "moths", {})
    server.fail("/api/v2/jobs/3/result/", 503, times=99)
    with pytest.raises(ServerBusy):
        client.post_results(3, [error_item("lease")])
    assert len(server.seen("/api/v2/jobs/3/result/")) == 1


def test_large_results_go_in_several_posts(
    client: AmiClient, server: ContractServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "MAX_POST_BYTES", 300)
    server.add_job(3, "moths", {str(number): image_file() for number in range(5)})
    tasks = client.reserve(3, 5)
    receipts = client.post_results(
        3, [error_item(task.reply_subject or "", task.image_id, "x" * 60) for task in tasks]
    )
    assert [receipt.status for receipt in receipts] == ["queued"] * 5
    sizes = [len(request.body["results"]) for request in server.seen("/api/v2/jobs/3/result/")]
    assert sizes == [2, 2, 1]


def test_nobody_listens(stop: RecordedWaits) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(Unreachable, match=r"Connection refused\. Is the server running"):
        AmiClient(f"http://127.0.0.1:{port}", TOKEN, stop=stop).jobs(["moths"])
    assert len(stop.waits) == 4


def test_wrong_token(server: ContractServer) -> None:
    with pytest.raises(NotAuthorised, match="AMI_TOKEN"):
        AmiClient(server.base, "wrong").jobs(["moths"])
    assert len(server.seen("/api/v2/jobs/")) == 1


def test_token_never_shows_in_an_error(server: ContractServer) -> None:
    with pytest.raises(NotAuthorised) as caught:
        AmiClient(server.base, "very-secret").jobs(["moths"])
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
    server.fail("/api/v2/jobs/", status)
    with pytest.raises(error, match=words):
        client.jobs(["moths"])
    assert len(server.seen("/api/v2/jobs/")) == 1


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
    server.fail("/api/v2/jobs/3/tasks/", 400, body=body)
    with pytest.raises(RequestRefused, match=words):
        client.reserve(3, 1)


def test_web_page_instead_of_the_api(client: AmiClient, server: ContractServer) -> None:
    server.fail("/api/v2/jobs/", 200, body=b"<html>Welcome to nginx</html>")
    with pytest.raises(UnexpectedAnswer, match="not as an AMI server does"):
        client.jobs(["moths"])


def test_redirected_post_says_which_address_to_use(client: AmiClient, server: ContractServer) -> None:
    server.fail(
        "/api/v2/jobs/3/tasks/", 301, headers={"Location": "https://new.example.org/api/v2/jobs/3/tasks/"}
    )
    with pytest.raises(UnexpectedAnswer, match=r"https://new\.example\.org"):
        client.reserve(3, 1)


def test_job_without_a_pipeline_does_not_hide_the_others(client: AmiClient, server: ContractServer) -> None:
    body = b'{"results":[{"id":1,"pipeline_slug":null},{"id":2,"pipeline_slug":"moths","extra":1}]}'
    server.fail("/api/v2/jobs/", 200, body=body)
    assert [job.id for job in client.jobs(["moths"])] == [1, 2]


def test_netrc_does_not_replace_the_token(
    client: AmiClient, server: ContractServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    assert client.jobs(["moths"]) == []
    (request,) = server.seen("/api/v2/jobs/")
    assert request.headers["Authorization"] == f"Token {TOKEN}"


def test_name_that_no_header_can_hold_is_sent_in_part(server: ContractServer) -> None:
    AmiClient(server.base, TOKEN, service_name="Käfer-Rechner").jobs(["moths"])
    (request,) = server.seen("/api/v2/jobs/")
    assert request.headers["X-Processing-Service-Name"] == "K?fer-Rechner"
