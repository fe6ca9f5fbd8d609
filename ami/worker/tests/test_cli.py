"""The command line, in process and as a real process that gets a real SIGTERM."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest
from PIL import Image

import ami
from ami.ml.schemas import PipelineResultsResponse
from ami.worker.cli import main
from ami.worker.sheets import make_sheet
from ami.worker.tests.contract_server import TOKEN, ContractServer, image_file

DEADLINE = 20.0
REPOSITORY = Path(ami.__file__).parent.parent

SLOW_PIPELINE = """
import time
from pathlib import Path

from ami.worker import Found, Pipeline, detector


class Slow(Pipeline):
    slug = "slow"
    name = "Slow"
    algorithms = [detector("slow_detector", "Slow")]

    def process_image(self, image):
        Path("started").touch()
        deadline = time.monotonic() + 20
        while not Path("go").exists():
            assert time.monotonic() < deadline
            time.sleep(0.005)
        return [Found((0, 0, 5, 5))]
"""


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def start_worker(server: ContractServer, folder: Path, *options: str) -> subprocess.Popen[str]:
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY), "AMI_URL": server.base, "AMI_TOKEN": TOKEN}
    return subprocess.Popen(
        [sys.executable, "-m", "ami.worker", "run", *options],
        cwd=folder,
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_finishes_and_posts_what_is_reserved_and_exits_with_0(
    server: ContractServer, tmp_path: Path, number: signal.Signals
) -> None:
    (tmp_path / "my_pipelines.py").write_text(SLOW_PIPELINE)
    server.add_job(1, "slow", {str(index): image_file() for index in range(30)})
    process = start_worker(server, tmp_path, "--pipeline", "my_pipelines:Slow", "--batch-size", "3")
    try:
        wait_until((tmp_path / "started").exists)
        process.send_signal(number)
        (tmp_path / "go").touch()
        _, log = process.communicate(timeout=DEADLINE)
    finally:
        process.kill()
    assert process.returncode == 0, log
    assert set(server.results[1]) == {image for _, image in server.leases.values()}
    assert 3 <= len(server.results[1]) <= 9
    assert len(server.pending[1]) >= 21
    assert "finishing and posting" in log
    assert TOKEN not in log


def test_second_signal_ends_the_process_at_once(server: ContractServer, tmp_path: Path) -> None:
    (tmp_path / "my_pipelines.py").write_text(SLOW_PIPELINE)
    server.add_job(1, "slow", {"1": image_file()})
    process = start_worker(server, tmp_path, "--pipeline", "my_pipelines:Slow")
    try:
        wait_until((tmp_path / "started").exists)
        process.send_signal(signal.SIGTERM)
        assert process.stderr is not None
        while "finishing" not in process.stderr.readline():
            pass
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=DEADLINE)
    finally:
        process.kill()
    assert process.returncode == 128 + signal.SIGTERM
    assert server.results[1] == {}


def test_worker_with_the_built_in_pipeline_empties_a_job(server: ContractServer, tmp_path: Path) -> None:
    sheet, boxes = make_sheet(3, size=(800, 600), insects=4)
    sheet.save(tmp_path / "sheet.png")
    server.add_job(1, "light_trap_contours", {"77": (tmp_path / "sheet.png").read_bytes()})
    code = main(["run", "--until-idle", "--url", server.base, "--token", TOKEN, "--name", "gpu-01"])
    assert code == 0
    result = PipelineResultsResponse.model_validate(server.result(1, "77"))
    assert len(result.detections) == len(boxes)
    assert all(len(detection.classifications[0].scores) == 3 for detection in result.detections)


def test_worker_needs_no_django() -> None:
    code = "import sys, ami.worker.cli; print({'django', 'celery', 'nats', 'redis'} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"


def test_register_announces_the_built_in_pipeline(
    server: ContractServer, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["register", "--url", server.base, "--token", TOKEN, "--name", "gpu-01"]
    assert main([*arguments, "--project", "7"]) == 0
    assert "Registered light_trap_contours with project 7 as 'gpu-01'" in capsys.readouterr().out
    assert main([*arguments, "--project", "8"]) == 1
    assert "number of the project" in capsys.readouterr().err


def test_register_without_a_project_lists_the_projects(
    server: ContractServer, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["register", "--url", server.base, "--token", TOKEN]) == 2
    assert "7  Panama" in capsys.readouterr().err
    assert server.registered == []


def test_server_and_token_come_from_the_environment(
    server: ContractServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AMI_URL", server.base)
    monkeypatch.setenv("AMI_TOKEN", TOKEN)
    monkeypatch.setenv("AMI_WORKER_NAME", "attic\n")
    assert main(["run", "--once"]) == 0
    (request,) = server.seen("/api/v2/jobs/")
    assert request.headers["X-Processing-Service-Name"] == "attic"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "--once", "--token", ""], "AMI_TOKEN"),
        (["run", "--once", "--token", "x", "--url", "localhost:8000"], "looks like"),
        (["run", "--once", "--token", "x", "--pipelines", "moths"], "no pipeline moths"),
        (["run", "--once", "--token", "x", "--pipeline", "moths"], "module:Class"),
    ],
)
def test_wrong_use_is_said_in_one_sentence(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 1
    error = capsys.readouterr().err
    assert words in error
    assert "Traceback" not in error


def test_files_are_processed_and_drawn_without_a_server(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sheet, boxes = make_sheet(3, size=(800, 600), insects=4)
    sheet.save(tmp_path / "night.png")
    (tmp_path / "notes.txt").write_text("no picture")
    files = [str(tmp_path / name) for name in ("notes.txt", "night.png", "missing.jpg")]
    assert main(["process", *files, "--draw", str(tmp_path / "drawn")]) == 1
    captured = capsys.readouterr()
    assert f"night.png: {len(boxes)} found (" in captured.out
    assert "notes.txt: The file is not an image" in captured.err
    assert "missing.jpg" in captured.err
    with Image.open(tmp_path / "drawn" / "night-light_trap_contours.jpg") as drawing:
        assert drawing.size == (800, 600)


def test_files_can_be_processed_to_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sheet, boxes = make_sheet(3, size=(800, 600), insects=4)
    sheet.save(tmp_path / "night.png")
    assert main(["process", str(tmp_path / "night.png"), "--json"]) == 0
    result = PipelineResultsResponse.model_validate(orjson.loads(capsys.readouterr().out))
    assert result.source_images[0].id == "night.png"
    assert len(result.detections) == len(boxes)


def test_signals_mean_what_they_meant_once_the_worker_has_ended(server: ContractServer) -> None:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    assert main(["run", "--url", server.base, "--token", TOKEN, "--until-idle"]) == 0
    assert {number: signal.getsignal(number) for number in before} == before
