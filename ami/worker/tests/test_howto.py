"""The guide for worker authors does what it says: its example is run as it stands."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import ami
from ami.ml.schemas import PipelineRegistrationRequest, PipelineTaskResult
from ami.worker.cli import main
from ami.worker.tests.contract_server import TOKEN, ContractServer, image_file

GUIDE = Path(ami.__file__).parent.parent / "docs" / "howto" / "write-a-worker.md"


@pytest.fixture
def guide() -> str:
    return GUIDE.read_text()


@pytest.fixture
def example(guide: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The Python example as a module in an empty folder, and the name of its pipeline."""
    (code,) = re.findall(r"```python\n(.*?)```", guide, re.DOTALL)
    (tmp_path / "my_moths.py").write_text(code)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return "my_moths:MyMoths"


def test_example_is_short(guide: str) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", guide, re.DOTALL)
    assert len([line for line in code.splitlines() if line.strip()]) <= 15


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


def test_bodies_of_the_curl_examples_are_valid(guide: str) -> None:
    registration, reservation, results = (
        json.loads(body) for body in re.findall(r"-d '(.*?)'\n", guide, re.DOTALL)
    )
    assert PipelineRegistrationRequest.model_validate(registration).pipelines[0].algorithms[1].category_map
    assert reservation["batch_size"] == 8
    items = [PipelineTaskResult.model_validate(item) for item in results["results"]]
    assert [type(item.result).__name__ for item in items] == [
        "PipelineResultsResponse",
        "PipelineResultsError",
    ]
