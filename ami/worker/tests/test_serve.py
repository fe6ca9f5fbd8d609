"""Push mode: the same pipelines behind `/readyz`, `/livez`, `/info` and `/process`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import requests
from PIL import Image

from ami.ml.schemas import PipelineResultsResponse, ProcessingServiceInfoResponse
from ami.worker import Classification, Found, Pipeline, classifier, detector
from ami.worker.cli import main
from ami.worker.serve import MAX_BODY_BYTES, PushService, serve
from ami.worker.tests.contract_server import ContractServer, image_file
from ami.worker.tests.test_cli import REPOSITORY


class Constant(Pipeline):
    """One box an image; a small image breaks it."""

    slug = "constant"
    name = "Constant"
    algorithms = (
        detector("constant-detector", "Constant Detector"),
        classifier("constant-classifier", "Constant classifier", ["Moth"]),
    )

    def process_image(self, image: Image.Image) -> Sequence[Found]:
        """An eighth from the corner, a quarter in size."""
        if image.width < 20:
            raise ValueError("too small")
        width, height = image.size
        box = (width // 8, height // 8, width // 8 + width // 4, height // 8 + height // 4)
        return [Found(box, [Classification("Moth", [0.9])])]


@pytest.fixture
def service() -> Iterator[str]:
    """The address of a service that is set up."""
    offered = PushService([Constant()])
    with serve(offered, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        offered.set_up()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()
    offered.downloader.close()


def test_it_says_what_it_is_and_offers(service: str) -> None:
    assert requests.get(f"{service}/livez", timeout=5).json() == {"status": True}
    assert requests.get(f"{service}/readyz", timeout=5).json() == {"status": ["constant"]}
    info = ProcessingServiceInfoResponse.model_validate(requests.get(f"{service}/info/", timeout=5).json())
    assert [pipeline.slug for pipeline in info.pipelines] == ["constant"]
    assert [algorithm.key for algorithm in info.pipelines[0].algorithms] == [
        "constant-detector",
        "constant-classifier",
    ]
    nothing = requests.get(f"{service}/status", timeout=5)
    assert (nothing.status_code, nothing.json()) == (404, {"detail": "Not Found"})


def test_before_its_weights_are_loaded_it_is_not_ready() -> None:
    assert PushService([Constant()]).readiness().status == 503


def test_each_image_gets_its_result_and_a_bad_one_harms_no_other(
    service: str, server: ContractServer
) -> None:
    server.images = {"good": image_file(), "tiny": image_file(size=(8, 8))}
    request = {
        "pipeline": "constant",
        "source_images": [
            {"id": "1", "url": f"{server.base}/images/good"},
            {"id": "2", "url": f"{server.base}/images/missing"},
            {"id": "3", "url": f"{server.base}/images/tiny"},
            {"id": "4", "url": f"{server.base}/images/good"},
        ],
        "detections": [],
        "config": {},
    }
    answer = requests.post(f"{service}/process", json=request, timeout=10)
    assert answer.status_code == 200
    result = PipelineResultsResponse.model_validate(answer.json())
    assert [image.id for image in result.source_images] == ["1", "4"]
    assert [detection.source_image_id for detection in result.detections] == ["1", "4"]
    assert result.detections[0].bbox is not None
    assert result.detections[0].bbox.x1 == 64 // 8
    assert isinstance(result.errors, list)
    assert {error["image_id"]: error["error"] for error in result.errors}["3"] == "ValueError: too small"
    assert {error["image_id"] for error in result.errors} == {"2", "3"}


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"pipeline": "random"}, "Invalid pipeline choice: random"),
        ({"source_images": "all"}, "source_images"),
        ({"source_images": [{"id": "1"}]}, "Field required"),
    ],
)
def test_a_wrong_request_is_refused_with_a_reason(service: str, changed: dict[str, Any], told: str) -> None:
    request = {"pipeline": "constant", "source_images": [], "detections": [], "config": {}} | changed
    answer = requests.post(f"{service}/process", json=request, timeout=5)
    assert answer.status_code == 422
    assert told in str(answer.json()["detail"])


def test_no_images_are_no_error(service: str) -> None:
    request = {"pipeline": "constant", "source_images": [], "detections": [], "config": {}}
    answer = requests.post(f"{service}/process", json=request, timeout=5).json()
    assert (answer["source_images"], answer["detections"]) == ([], [])


def test_a_body_that_is_too_large_or_of_no_length_is_refused(service: str) -> None:
    large = {"Content-Length": str(MAX_BODY_BYTES + 1)}
    request = requests.Request("POST", f"{service}/process", headers=large).prepare()
    request.headers["Content-Length"] = large["Content-Length"]
    assert requests.Session().send(request, timeout=5).status_code == 413
    assert requests.post(f"{service}/process", data=iter([b"{}"]), timeout=5).status_code == 411


def test_the_command_serves_until_it_is_told_to_stop(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "ami.worker", "serve", "--port", "0"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        lines = iter(process.stderr.readline, "")
        address = next(line for line in lines if "service starts" in line).split("address=")[1].strip()
        assert any("service is ready pipelines=light_trap_contours" in line for line in lines)
        assert requests.get(f"{address}/readyz", timeout=5).json() == {"status": ["light_trap_contours"]}
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.communicate()


def test_a_port_that_is_taken_gets_a_sentence(service: str, capsys: pytest.CaptureFixture[str]) -> None:
    port = service.rpartition(":")[2]
    assert main(["serve", "--port", port]) == 1
    assert f"Cannot listen on 127.0.0.1:{port}" in capsys.readouterr().err
