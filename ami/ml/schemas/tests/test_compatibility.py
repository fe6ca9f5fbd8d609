"""The wire schemas take what workers written against pydantic 1 send, and refuse what cannot be kept."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

import ami
from ami.ml.schemas import (
    AlgorithmCategoryMapResponse,
    AlgorithmConfigResponse,
    BoundingBox,
    ClassificationResponse,
    DetectionRequest,
    DetectionResponse,
    FailRequest,
    JobsResponse,
    LeasesRequest,
    LeasesResponse,
    NextJobResponse,
    PipelineConfigResponse,
    PipelineProcessingTask,
    PipelineRegistrationRequest,
    PipelineRegistrationResponse,
    PipelineRequest,
    PipelineResultsError,
    PipelineResultsResponse,
    PipelineTaskResult,
    ProcessingServiceClientInfo,
    ProcessingServiceInfoResponse,
    ProcessingServiceStatusResponse,
    ReservedTask,
    ReserveRequest,
    ReserveResponse,
    ResultResponse,
    SourceImageRequest,
    TasksResponse,
)
from ami.ml.schemas.base import MAX_CLASSES, MAX_DETECTIONS, MAX_ID, MAX_NAME, MAX_TOKEN, MAX_URL
from ami.ml.schemas.results import MAX_ERROR_TEXT

Json = dict[str, Any]

ALGORITHM: Json = {"name": "Moth / Non-Moth Classifier", "key": "moth_nonmoth_classifier"}


def classification(**changes: Any) -> Json:
    return {
        "classification": "moth",
        "labels": None,
        "scores": [0.966, 0.034],
        "logits": [4.0, 0.645],
        "inference_time": 0.0,
        "algorithm": ALGORITHM,
        "terminal": False,
        "timestamp": "2026-11-21T22:17:00.139535",
    } | changes


def detection(**changes: Any) -> Json:
    return {
        "source_image_id": "100000",
        "bbox": {"x1": 125.0, "y1": 53.0, "x2": 189.0, "y2": 101.0},
        "inference_time": 0.0,
        "algorithm": ALGORITHM,
        "timestamp": "2026-11-21T22:17:00.139535",
        "crop_image_url": None,
        "classifications": [classification()],
    } | changes


def result(**changes: Any) -> Json:
    return {
        "pipeline": "panama_moths_2024",
        "algorithms": {},
        "total_time": 0.0017,
        "source_images": [{"id": "100000", "url": "http://127.0.0.1/images/1/0.jpg"}],
        "detections": [detection()],
        "config": {"example_config_param": None},
    } | changes


def item(body: Json, token: Any = "$JS.ACK.job_12.job-12-consumer.1.5.5.1712345678901234567.3") -> Json:
    return {"reply_subject": token, "result": body}


def test_result_of_an_existing_worker_is_taken_and_unknown_keys_are_dropped() -> None:
    parsed = PipelineTaskResult.model_validate(item(result())).result
    assert isinstance(parsed, PipelineResultsResponse)
    assert parsed.detections[0].classifications[0].scores == [0.966, 0.034]
    assert "config" not in parsed.model_dump()


def test_error_of_an_existing_worker_is_taken() -> None:
    body = {"error": "failed to load image", "image_id": "100001"}
    parsed = PipelineTaskResult.model_validate(item(body)).result
    assert isinstance(parsed, PipelineResultsError)
    assert (parsed.error, parsed.image_id, parsed.retryable, parsed.code) == (
        body["error"],
        "100001",
        None,
        None,
    )


def test_success_wins_over_an_error_beside_it() -> None:
    parsed = PipelineTaskResult.model_validate(item(result(error="half of it", image_id="1"))).result
    assert isinstance(parsed, PipelineResultsResponse)


def test_neither_success_nor_error_names_the_faults_of_both() -> None:
    with pytest.raises(ValidationError) as caught:
        PipelineTaskResult.model_validate(item({"pipeline": "moths"}))
    places = {error["loc"] for error in caught.value.errors()}
    assert ("result", "PipelineResultsResponse", "detections") in places
    assert ("result", "PipelineResultsError", "error") in places


def test_numbers_are_taken_for_strings_and_numeric_strings_for_numbers() -> None:
    parsed = PipelineTaskResult.model_validate(
        item(
            result(
                total_time="1.5",
                source_images=[{"id": 5, "url": "x"}],
                detections=[detection(source_image_id=5, bbox={"x1": "1", "y1": 2, "x2": "3.5", "y2": 4})],
            ),
            token=7,
        )
    )
    assert parsed.reply_subject == "7"
    assert isinstance(parsed.result, PipelineResultsResponse)
    assert (parsed.result.total_time, parsed.result.source_images[0].id) == (1.5, "5")
    found = parsed.result.detections[0]
    assert found.source_image_id == "5"
    assert found.bbox == BoundingBox(x1=1.0, y1=2.0, x2=3.5, y2=4.0)
    error = PipelineResultsError.model_validate({"error": "x", "image_id": 9})
    assert error.image_id == "9"
    assert PipelineConfigResponse.model_validate({"name": "n", "slug": "s", "version": "2"}).version == 2


def test_tasks_keep_their_ids_as_strings_also_when_given_numbers() -> None:
    task = {"id": 77, "image_id": 77, "image_url": "https://x/77.jpg", "user_permissions": []}
    (parsed,) = TasksResponse.model_validate({"tasks": [task]}).tasks
    assert (parsed.id, parsed.image_id, parsed.reply_subject) == ("77", "77", None)
    assert parsed.model_dump(mode="json")["id"] == "77"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2026-04-15T12:30:01.123456", datetime(2026, 4, 15, 12, 30, 1, 123456)),  # noqa: DTZ001 - no zone given
        ("2026-04-15T12:30:01Z", datetime(2026, 4, 15, 12, 30, 1, tzinfo=UTC)),
        ("2026-04-15T12:30:01+02:00", datetime(2026, 4, 15, 10, 30, 1, tzinfo=UTC)),
        (0, datetime(1970, 1, 1, tzinfo=UTC)),
        (1712345678, datetime(2024, 4, 5, 19, 34, 38, tzinfo=UTC)),
    ],
)
def test_timestamps_come_with_or_without_zone_or_as_unix_time(value: Any, expected: datetime) -> None:
    assert ClassificationResponse.model_validate(classification(timestamp=value)).timestamp == expected


@pytest.mark.parametrize("value", ["yesterday", "0001-01-01T00:00:00+14:00", 10**15, None])
def test_timestamps_that_no_database_keeps_are_refused(value: Any) -> None:
    with pytest.raises(ValidationError):
        ClassificationResponse.model_validate(classification(timestamp=value))


@pytest.mark.parametrize(
    ("model", "given", "field"),
    [
        (ClassificationResponse, classification(scores=None), "scores"),
        (ClassificationResponse, classification(terminal=None), "terminal"),
        (ClassificationResponse, classification(timestamp=None), "timestamp"),
        (DetectionResponse, detection(classifications=None), "classifications"),
        (PipelineResultsResponse, result(detections=None), "detections"),
        (PipelineTaskResult, item(result(), token=None), "reply_subject"),
        (PipelineRegistrationRequest, {"processing_service_name": "n", "pipelines": None}, "pipelines"),
    ],
)
def test_null_for_what_is_not_optional_is_an_error(model: type[BaseModel], given: Json, field: str) -> None:
    with pytest.raises(ValidationError) as caught:
        model.model_validate(given)
    assert field in {place for error in caught.value.errors() for place in error["loc"]}


def test_null_for_what_is_optional_is_taken() -> None:
    parsed = DetectionResponse.model_validate(
        detection(bbox=None, inference_time=None, classifications=[classification(logits=None)])
    )
    assert parsed.bbox is None
    assert parsed.classifications[0].logits is None


def test_defaults_fill_what_may_be_left_out() -> None:
    small = {"classification": "moth", "algorithm": ALGORITHM, "timestamp": 0}
    parsed = ClassificationResponse.model_validate(small)
    assert (parsed.labels, parsed.scores, parsed.logits, parsed.terminal) == (None, [], None, True)
    config = AlgorithmConfigResponse.model_validate(ALGORITHM)
    assert (config.version, config.task_type, config.category_map) == (1, None, None)
    assert AlgorithmCategoryMapResponse().data == []
    assert PipelineRequest.model_validate({"pipeline": "p", "source_images": []}).config is None


def test_missing_ids_and_names_are_errors() -> None:
    with pytest.raises(ValidationError):
        SourceImageRequest.model_validate({"id": "1"})
    with pytest.raises(ValidationError):
        PipelineConfigResponse.model_validate({"name": "n", "slug": "s"})


@pytest.mark.parametrize(
    "box", [[1.0, 2.0, 3.0, 4.0], {"x1": 1, "y1": 2, "x2": 3}, {"x1": "a", "y1": 0, "x2": 1, "y2": 1}]
)
def test_box_is_an_object_with_four_numbers(box: Any) -> None:
    with pytest.raises(ValidationError):
        DetectionResponse.model_validate(detection(bbox=box))


def test_order_of_the_edges_of_a_box_is_not_judged_here() -> None:
    assert BoundingBox.model_validate({"x1": 9, "y1": 9, "x2": 1, "y2": 1}).x1 == 9.0


@pytest.mark.parametrize(
    "number", [float("nan"), float("inf"), float("-inf"), "NaN", "Infinity", 1e39, -1e300]
)
@pytest.mark.parametrize("field", ["scores", "logits"])
def test_numbers_that_no_column_can_hold_are_refused(number: Any, field: str) -> None:
    with pytest.raises(ValidationError):
        ClassificationResponse.model_validate(classification(**{field: [0.5, number]}))
    with pytest.raises(ValidationError):
        BoundingBox.model_validate({"x1": number, "y1": 0, "x2": 1, "y2": 1})


@pytest.mark.parametrize(
    ("model", "given"),
    [
        (ClassificationResponse, classification(classification="moth\x00")),
        (ClassificationResponse, classification(classification="m" * (MAX_NAME + 1))),
        (ClassificationResponse, classification(scores=[0.0] * (MAX_CLASSES + 1))),
        (DetectionResponse, detection(source_image_id="1" * (MAX_ID + 1))),
        (DetectionResponse, detection(crop_image_url="x" * (MAX_URL + 1))),
        (PipelineResultsResponse, result(detections=[detection()] * (MAX_DETECTIONS + 1))),
        (PipelineTaskResult, item(result(), token="x" * (MAX_TOKEN + 1))),
        (AlgorithmCategoryMapResponse, {"data": [{"label": "a\x00b"}]}),
        (ProcessingServiceClientInfo, {"host": {"name": ["\x00"]}}),
    ],
)
def test_what_is_too_long_or_cannot_be_stored_is_refused(model: type[BaseModel], given: Json) -> None:
    with pytest.raises(ValidationError):
        model.model_validate(given)


def test_backslash_before_u0000_is_no_nul_character() -> None:
    text = "\\u0000"
    assert AlgorithmCategoryMapResponse.model_validate({"data": [{"label": text}]}).data == [{"label": text}]


def test_real_category_maps_fit() -> None:
    labels = [f"Species number {index}" for index in range(29_176)]
    data = [{"index": index, "label": label, "taxon_rank": "SPECIES"} for index, label in enumerate(labels)]
    assert len(AlgorithmCategoryMapResponse.model_validate({"data": data, "labels": labels}).labels) == 29_176


def test_error_is_never_refused_for_its_wording() -> None:
    long = "Batch processing error:\n\x00\x1b[31m CUDA\x7f out of memory " + "x" * 10_000
    parsed = PipelineResultsError.model_validate({"error": long})
    assert parsed.error.startswith("Batch processing error:\n[31m CUDA out of memory x")
    assert len(parsed.error) == MAX_ERROR_TEXT


def test_our_additions_to_an_error_are_read() -> None:
    parsed = PipelineResultsError.model_validate(
        {"error": "gone", "retryable": False, "code": "unreadable_image"}
    )
    assert (parsed.retryable, parsed.code) == (False, "unreadable_image")


def test_our_additions_to_a_task_are_optional() -> None:
    task = PipelineProcessingTask(id="1", image_id="1", image_url="x", config={"a": 1}, lease_seconds=300)
    assert task.model_dump(exclude_none=True)["lease_seconds"] == 300.0
    assert "config" not in PipelineProcessingTask(id="1", image_id="1", image_url="x").model_dump(
        exclude_none=True
    )


def test_client_info_keeps_every_key() -> None:
    info = ProcessingServiceClientInfo.model_validate({"hostname": "gpu-01", "gpu": {"memory": 24}})
    assert info.model_dump() == {"hostname": "gpu-01", "gpu": {"memory": 24}}


def test_push_mode_messages_of_the_minimal_service_are_taken() -> None:
    request = PipelineRequest.model_validate(
        {
            "pipeline": "constant",
            "source_images": [{"id": "1", "url": "http://x/1.jpg"}],
            "detections": [
                {
                    "source_image": {"id": "1", "url": "http://x/1.jpg"},
                    "bbox": {"x1": 10.0, "y1": 20.0, "x2": 60.0, "y2": 80.0},
                    "crop_image_url": None,
                    "algorithm": ALGORITHM,
                }
            ],
            "config": {"request_source_image_batch_size": 4},
        }
    )
    assert isinstance((request.detections or [])[0], DetectionRequest)
    info = ProcessingServiceInfoResponse.model_validate(
        {
            "name": "ML Backend Template",
            "pipelines": [{"name": "c", "slug": "constant", "version": 1, "stages": []}],
        }
    )
    assert info.pipelines[0].slug == "constant"
    assert PipelineResultsResponse.model_validate(result(errors=["one", {"two": 2}])).errors == [
        "one",
        {"two": 2},
    ]
    assert PipelineResultsResponse.model_validate(result(errors="all of it")).errors == "all of it"


def test_answers_of_the_server_are_what_existing_clients_expect() -> None:
    receipt = ResultResponse.model_validate(
        {
            "status": "accepted",
            "job_id": 12,
            "results_queued": 1,
            "tasks": [{"reply_subject": "lease", "status": "queued", "task_id": "7"}],
        }
    )
    assert receipt.tasks[0].reason is None
    status = ProcessingServiceStatusResponse.model_validate(
        {"timestamp": "2026-04-15T10:00:00", "request_successful": True, "latency": 0.02}
    )
    assert (status.pipelines_online, status.server_live) == ([], None)
    registration = PipelineRegistrationResponse.model_validate({"timestamp": 0, "success": True})
    assert registration.pipelines_created == []
    page: Json = {
        "count": 1,
        "next": None,
        "results": [{"id": 12, "pipeline_slug": None, "user_permissions": []}],
    }
    assert JobsResponse.model_validate(page).results[0].pipeline_slug is None


def test_reservation_is_taken_as_loosely_as_everything_else() -> None:
    request = ReserveRequest.model_validate({"batch_size": "8", "wait": 20, "extra": 1})
    assert (request.batch_size, request.wait, request.pipelines, request.client_info) == (8, 20.0, None, None)
    assert ReserveRequest.model_validate({"batch_size": 2.0, "wait": 99}).wait == 99.0
    wrong: list[Json] = [{}, {"batch_size": 0}, {"batch_size": "many"}, {"batch_size": 1, "wait": -1}]
    for body in wrong:
        with pytest.raises(ValidationError):
            ReserveRequest.model_validate(body)


def test_reserved_task_names_its_job_its_pipeline_and_its_lease() -> None:
    whole: Json = {
        **{"id": 77, "image_id": 77, "image_url": "x", "reply_subject": "lease"},
        **{"job_id": 12, "pipeline_slug": "moths", "config": {"a": 1}, "lease_seconds": 300, "attempt": 2},
    }
    answer = ReserveResponse.model_validate({"tasks": [whole], "retry_after": None, "reason": ""})
    (task,) = answer.tasks
    assert (task.id, task.job_id, task.attempt, task.config) == ("77", 12, 2, {"a": 1})
    for key in ("reply_subject", "job_id", "pipeline_slug"):
        with pytest.raises(ValidationError):
            ReservedTask.model_validate({name: value for name, value in whole.items() if name != key})
    assert NextJobResponse.model_validate({"job": None}).job is None


def test_words_of_a_failure_never_get_it_refused() -> None:
    request = FailRequest.model_validate(
        {
            "failures": [{"reply_subject": 7, "error": "CUDA\x00 " + "x" * 10_000}],
            "client_info": {"name": "a"},
        }
    )
    (failure,) = request.failures
    assert (failure.reply_subject, failure.retryable, failure.code) == ("7", None, None)
    assert len(failure.error) == MAX_ERROR_TEXT


def test_lease_without_more_than_a_status_is_not_cancelled() -> None:
    answer = LeasesResponse.model_validate({"leases": [{"reply_subject": "a", "status": "held"}]})
    assert answer.leases[0].cancelled is False
    with pytest.raises(ValidationError):
        LeasesRequest.model_validate({"leases": [None]})


def test_schemas_need_no_django() -> None:
    code = "import sys, ami.ml.schemas; print({'django', 'celery', 'nats'} & set(sys.modules))"
    repository = Path(ami.__file__).parent.parent
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=repository, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"
