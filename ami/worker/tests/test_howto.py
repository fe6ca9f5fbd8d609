"""The guide for worker authors does what it says: its example is run as it stands."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import requests

import ami
from ami.ml.schemas import (
    FailRequest,
    LeasesRequest,
    PipelineRegistrationRequest,
    PipelineResultsError,
    PipelineTaskResult,
    ReservedTask,
    ReserveRequest,
    ReserveResponse,
)
from ami.worker import AmiClient
from ami.worker.cli import main
from ami.worker.errors import NotAuthorised
from ami.worker.tests.contract_server import TOKEN, ContractServer, image_file

GUIDE = Path(ami.__file__).parent.parent / "docs" / "howto" / "write-a-worker.md"


@pytest.fixture
def guide() -> str:
    return GUIDE.read_text()


@pytest.fixture
def example(guide: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The Python example as a module in an empty folder, and the name of its pipeline."""
    code, _ = python_of(guide)
    (tmp_path / "my_moths.py").write_text(code)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return "my_moths:MyMoths"


def python_of(guide: str) -> tuple[str, str]:
    """The pipeline, and the loop of somebody's own."""
    pipeline, loop = re.findall(r"```python\n(.*?)```", guide, re.DOTALL)
    return pipeline, loop


def test_examples_are_short(guide: str) -> None:
    pipeline, loop = python_of(guide)
    assert len([line for line in pipeline.splitlines() if line.strip()]) <= 15
    function = loop[loop.index("def ") :]
    assert len([line for line in function.splitlines() if line.strip()]) <= 15


def test_example_registers_and_works(example: str, server: ContractServer) -> None:
    server.add_job(12, "my_moths_2026", {"77": image_file(size=(200, 100))})
    options = ["--pipeline", example, "--url", server.base, "--token", TOKEN]
    assert main(["register", "--project", "7", *options]) == 0
    assert main(["run", "--until-idle", *options]) == 0
    (announced,) = server.registered[0]["pipelines"]
    assert announced["slug"] == "my_moths_2026"
    (found,) = server.result(12, "77")["detections"]
    assert found["bbox"] == {"x1": 0.0, "y1": 0.0, "x2": 100.0, "y2": 50.0}
    (verdict,) = found["classifications"]
    assert verdict["classification"] == "Noctua pronuba"
    assert verdict["logits"] == [0.2, 1.4]


def test_example_runs_on_files(example: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "night-1.png").write_bytes(image_file())
    assert main(["process", "night-1.png", "--pipeline", example, "--draw", "drawn"]) == 0
    assert "1 found (1 Noctua pronuba)" in capsys.readouterr().out
    assert (tmp_path / "drawn" / "night-1-my_moths_2026.jpg").exists()


def test_loop_of_your_own_works(guide: str, server: ContractServer) -> None:
    _, code = python_of(guide)
    names: dict[str, Any] = {}
    exec(code, names)
    server.add_job(12, "my_moths_2026", {"77": image_file(), "78": image_file()})
    server.add_job(13, "my_moths_2026", {"79": image_file()})
    server.add_job(14, "others", {"80": image_file()})

    def look_at(task: ReservedTask) -> PipelineResultsError:
        if task.image_id == "79":
            server.fail("/api/v2/tasks/reserve/", 401)  # ends the loop
        return PipelineResultsError(error="dark", image_id=task.image_id)

    client = AmiClient(server.base, TOKEN, service_name="gpu-01")
    with pytest.raises(NotAuthorised):
        names["work"](client, look_at)
    client.close()
    assert {job: set(results) for job, results in server.results.items()} == {
        12: {"77", "78"},
        13: {"79"},
        14: set(),
    }


def curl_calls(guide: str) -> dict[str, Any]:
    """Path to body of every example with curl."""
    found = re.findall(r"\$AMI_URL(\S+) -d '(.*?)'\n", guide, re.DOTALL)
    return {path: json.loads(body) for path, body in found}


def test_curl_examples_are_answered(guide: str, server: ContractServer) -> None:
    calls = curl_calls(guide)
    assert len(calls) == guide.count("curl -H") == 6
    server.add_job(12, "my_moths_2026", {"77": image_file()})
    for path, body in calls.items():
        response = requests.post(
            server.base + path, json=body, headers={"Authorization": f"Token {TOKEN}"}, timeout=5
        )
        assert response.ok, path


def test_bodies_of_the_curl_examples_are_valid(guide: str) -> None:
    calls = curl_calls(guide)
    registration = PipelineRegistrationRequest.model_validate(calls["/api/v2/projects/7/pipelines/"])
    assert registration.pipelines[0].algorithms[1].category_map
    reservation = ReserveRequest.model_validate(calls["/api/v2/tasks/reserve/"])
    assert (reservation.batch_size, reservation.pipelines) == (8, ["my_moths_2026"])
    for verb in ("extend", "release"):
        assert LeasesRequest.model_validate(calls[f"/api/v2/tasks/{verb}/"]).leases
    assert FailRequest.model_validate(calls["/api/v2/tasks/fail/"]).failures[0].retryable
    posted = calls["/api/v2/jobs/12/result/"]["results"]
    assert [type(PipelineTaskResult.model_validate(item).result).__name__ for item in posted] == [
        "PipelineResultsResponse",
        "PipelineResultsError",
    ]


def test_answers_that_the_guide_shows_are_valid(guide: str) -> None:
    (shown,) = re.findall(
        r"^# (\{\"tasks\": \[\{\"id.*?\"reason\": \"\"\})$", guide, re.DOTALL | re.MULTILINE
    )
    answer = ReserveResponse.model_validate_json(re.sub(r"\n# *", " ", shown))
    assert answer.tasks[0].job_id == 12
