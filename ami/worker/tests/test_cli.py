"""The command line, in process and as a real process that gets a real SIGTERM."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson
import pytest
from PIL import Image

import ami
from ami.ml.schemas import PipelineResultsResponse
from ami.worker.cli import main
from ami.worker.sheets import make_sheet
from ami.worker.tests.conftest import DEADLINE, wait_until
from ami.worker.tests.contract_server import TOKEN, ContractServer, image_file

RESERVE = "/api/v2/tasks/reserve/"
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


@contextmanager
def running_worker(
    server: ContractServer, folder: Path, *options: str, pipeline: str = SLOW_PIPELINE
) -> Iterator[subprocess.Popen[str]]:
    """`ami-worker run` as a process, with a pipeline of its own."""
    (folder / "my_pipelines.py").write_text(pipeline)
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY), "AMI_URL": server.base, "AMI_TOKEN": TOKEN}
    process = subprocess.Popen(
        [sys.executable, "-m", "ami.worker", "run", "--pipeline", "my_pipelines:Slow", *options],
        cwd=folder,
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_posts_what_is_in_process_releases_the_rest_and_exits_with_0(
    server: ContractServer, tmp_path: Path, number: signal.Signals
) -> None:
    server.add_job(1, "slow", {str(index): image_file() for index in range(30)})
    with running_worker(server, tmp_path, "--batch-size", "3") as process:
        wait_until(lambda: len(server.leases) == 6 and (tmp_path / "started").exists())
        process.send_signal(number)
        wait_until(lambda: len(server.tokens("released")) == 3)
        (tmp_path / "go").touch()
        _, log = process.communicate(timeout=DEADLINE)
    assert process.returncode == 0, log
    assert set(server.results[1]) == {"0", "1", "2"}
    assert set(server.tokens("released")) == {"3", "4", "5"}
    assert len(server.pending[1]) == 27
    assert "finishing and posting" in log
    assert TOKEN not in log


def test_batch_that_outlasts_the_grace_time_is_given_back_and_the_process_ends(
    server: ContractServer, tmp_path: Path
) -> None:
    server.add_job(1, "slow", {"1": image_file(), "2": image_file()})
    with running_worker(server, tmp_path, "--grace", "0.2") as process:
        wait_until((tmp_path / "started").exists)
        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=DEADLINE)
    assert process.returncode == 0, log
    assert set(server.tokens("released")) == {"1", "2"}
    assert server.results[1] == {}


def test_signal_is_noticed_while_the_pipeline_is_deep_in_a_library(
    server: ContractServer, tmp_path: Path
) -> None:
    """Where Python runs no signal handlers: here in a C function that no signal interrupts."""
    deep = SLOW_PIPELINE.replace("        deadline =", "        wait_for_ever()\n        deadline =")
    deep += """

def wait_for_ever():
    library, mutex = ctypes.CDLL(None), ctypes.create_string_buffer(64)
    library.pthread_mutex_lock(mutex)
    library.pthread_mutex_lock(mutex)
"""
    deep = f"import ctypes\n{deep}"
    server.add_job(1, "slow", {"1": image_file()})
    with running_worker(server, tmp_path, "--grace", "0.2", pipeline=deep) as process:
        wait_until((tmp_path / "started").exists)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=DEADLINE)
    assert set(server.tokens("released")) == {"1"}


def test_signal_ends_a_waiting_poll(server: ContractServer, tmp_path: Path) -> None:
    with running_worker(server, tmp_path, "--wait", "30") as process:
        wait_until(lambda: server.seen(RESERVE))
        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=10)
    assert process.returncode == 0, log


def test_second_signal_ends_the_process_at_once(server: ContractServer, tmp_path: Path) -> None:
    server.add_job(1, "slow", {"1": image_file()})
    with running_worker(server, tmp_path) as process:
        wait_until((tmp_path / "started").exists)
        process.send_signal(signal.SIGTERM)
        assert process.stderr is not None
        while "finishing" not in process.stderr.readline():
            pass
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=DEADLINE)
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


def test_server_token_and_names_come_from_the_environment(
    server: ContractServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AMI_URL", server.base)
    monkeypatch.setenv("AMI_TOKEN", TOKEN)
    monkeypatch.setenv("AMI_WORKER_NAME", "attic\n")
    monkeypatch.setenv("AMI_WORKER_INSTANCE", "card-2")
    assert main(["run", "--once"]) == 0
    (request,) = server.seen(RESERVE)
    assert request.headers["X-Processing-Service-Name"] == "attic"
    assert request.body["client_info"]["name"] == "attic"
    assert request.body["client_info"]["instance"] == "card-2"


def test_options_win_over_the_environment(server: ContractServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AMI_WORKER_INSTANCE", "card-2")
    options = ["--url", server.base, "--token", TOKEN, "--instance", "card-3", "--batch-size", "5"]
    assert main(["run", "--once", *options]) == 0
    (request,) = server.seen(RESERVE)
    assert request.body["client_info"]["instance"] == "card-3"
    assert request.body["batch_size"] == 5


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
