"""Request 4: posting results (part B, 4 and 5)."""

from __future__ import annotations

from typing import Any

import pytest
import requests
from pytest_django.fixtures import Settings

from ami.jobs.models import JobTask
from ami.ml.models import Classification, Detection
from ami.tests.contract.answers import Posted
from ami.tests.contract.field_models import (
    DETECTOR,
    SLUG,
    SLUGS,
    SPECIES,
    classification,
    detection,
    moth,
    non_moth,
    registration,
)
from ami.tests.contract.platform import SERVICE, Platform
from ami.tests.contract.worker import PullWorker, success


def post_one(platform: Platform, worker: PullWorker, detections: list[dict[str, Any]]) -> tuple[int, Posted]:
    """A job over one image with these detections, posted and saved."""
    job_id = platform.start_job(images=1)
    (task,) = worker.fetch(job_id)
    posted = worker.send(job_id, [success(SLUG, task, detections)])
    platform.background.run()
    return job_id, posted


def test_4_a_batch_with_a_success_and_an_error_is_accepted_item_by_item(
    platform: Platform, worker: PullWorker
) -> None:
    job_id = platform.start_job(images=3, broken=1)
    tasks = worker.fetch(job_id)
    items = worker.process(SLUG, tasks)
    assert items[-1]["result"] == {
        "error": "failed to load image",
        "image_id": items[-1]["result"]["image_id"],
    }
    posted = worker.send(job_id, items)
    assert (posted.status, posted.job_id, posted.results_queued) == ("accepted", job_id, 2)
    assert [receipt.status for receipt in posted.tasks] == ["queued", "queued", "retry"]
    assert [receipt.reply_subject for receipt in posted.tasks] == [item["reply_subject"] for item in items]


def test_4_an_image_that_never_loads_fails_alone_and_the_job_ends_well(
    platform: Platform, worker: PullWorker, settings: Settings
) -> None:
    settings.RETRY_BACKOFF_SECONDS = 0.02
    job_id = platform.start_job(images=3, broken=1)
    with platform.background_at_work():
        job = platform.wait_for_end(job_id, worker)
    assert job["status"] == "SUCCESS"
    assert platform.figures(job_id)["failed"] == 1
    failed = JobTask.objects.get(job=job_id, error_code="unreadable_image")
    assert failed.error_text == "failed to load image"


@pytest.mark.parametrize(("images", "broken", "verdict"), [(3, 2, "FAILURE"), (2, 1, "SUCCESS")])
def test_4_a_job_fails_when_more_than_half_of_its_images_failed(
    platform: Platform, worker: PullWorker, settings: Settings, images: int, broken: int, verdict: str
) -> None:
    settings.NATS_MAX_DELIVER = 1
    job_id = platform.start_job(images, broken)
    worker.work(SLUGS)
    platform.background.run()
    assert platform.job(job_id)["status"] == verdict


def test_4_a_moth_is_stored_with_both_verdicts(platform: Platform, worker: PullWorker) -> None:
    job_id, _ = post_one(platform, worker, [moth()])
    found = Detection.objects.get(job_id=job_id)
    assert found.bbox == [125.0, 53.0, 189.0, 101.0]
    names = Classification.objects.filter(detection=found).order_by("pk")
    assert [(name.taxon.name, name.terminal) for name in names] == [
        ("moth", False),
        ("Vanessa atalanta", True),
    ]
    assert names[1].scores == pytest.approx([0.9, 0.05, 0.02, 0.02, 0.01])
    assert len(names[1].logits) == 5
    assert names[1].taxon.rank == "SPECIES"


def test_4_a_non_moth_has_no_terminal_verdict(platform: Platform, worker: PullWorker) -> None:
    job_id, _ = post_one(platform, worker, [non_moth()])
    name = Classification.objects.get(detection__job_id=job_id)
    assert (name.taxon.name, name.terminal) == ("nonmoth", False)
    assert platform.job(job_id)["status"] == "SUCCESS"


def test_4_an_image_without_detections_is_done_and_marked_as_empty(
    platform: Platform, worker: PullWorker
) -> None:
    job_id, posted = post_one(platform, worker, [])
    assert posted.tasks[0].status == "queued"
    assert platform.job(job_id)["status"] == "SUCCESS"
    assert platform.figures(job_id)["detections"] == 0
    marker = Detection.objects.get(job_id=job_id)
    assert (marker.bbox, marker.detection_algorithm.key) == (None, DETECTOR["key"])


def test_4_the_same_post_twice_is_stored_once(platform: Platform, worker: PullWorker) -> None:
    job_id = platform.start_job(images=2)
    items = worker.process(SLUG, worker.fetch(job_id))
    assert worker.send(job_id, items).results_queued == 2
    platform.background.run()
    before = (Detection.objects.count(), Classification.objects.count())
    again = worker.send(job_id, items)
    platform.background.run()
    assert again.results_queued == 0
    assert {receipt.status for receipt in again.tasks} == {"duplicate"}
    assert (Detection.objects.count(), Classification.objects.count()) == before


def test_4_an_item_without_reply_subject_loses_only_itself(platform: Platform, worker: PullWorker) -> None:
    job_id = platform.start_job(images=2)
    good, bad = (success(SLUG, task, []) for task in worker.fetch(job_id))
    posted = worker.send(job_id, [{**bad, "reply_subject": None}, good])
    assert [receipt.status for receipt in posted.tasks] == ["rejected", "queued"]


def test_4_an_algorithm_that_was_not_registered_is_refused_with_the_known_ones(
    platform: Platform, worker: PullWorker
) -> None:
    stranger = {"name": "Birds", "key": "bird_classifier"}
    unknown = detection([classification("owl", stranger, [1.0], terminal=True)])
    job_id = platform.start_job(images=1)
    (task,) = worker.fetch(job_id)
    answer = worker.post(f"/jobs/{job_id}/result/", {"results": [success(SLUG, task, [unknown])]})
    (receipt,) = answer.json()["tasks"]
    assert receipt["status"] == "retry"
    assert "bird_classifier" in receipt["reason"]
    assert SPECIES["key"] in receipt["reason"]


def test_4_numbers_for_ids_and_strings_for_numbers_are_taken(platform: Platform, worker: PullWorker) -> None:
    job_id = platform.start_job(images=1)
    (task,) = worker.fetch(job_id)
    item = success(SLUG, task, [moth()])
    item["result"]["total_time"] = "0.4"
    item["result"]["source_images"][0]["id"] = int(task.image_id)
    item["result"]["detections"][0]["source_image_id"] = int(task.image_id)
    item["result"]["detections"][0]["bbox"]["x1"] = "125.0"
    assert worker.send(job_id, [item]).results_queued == 1


def test_4_a_result_over_all_classes_of_a_large_model_is_taken(platform: Platform) -> None:
    labels = [f"Genus species{number}" for number in range(29_176)]
    worker = platform.worker()
    worker.register(platform.project.pk, registration(SERVICE, [SLUG], labels))
    scores = [1 / (number + 2) for number in range(29_176)]
    large = detection([classification(labels[0], SPECIES, scores, terminal=True)])
    job_id, posted = post_one(platform, worker, [large])
    assert posted.results_queued == 1
    stored = Classification.objects.get(detection__job_id=job_id)
    assert stored.scores == pytest.approx(scores, rel=1e-6)
    assert len(stored.logits) == 29_176


def test_4_results_after_a_cancel_are_answered_and_not_an_error(
    platform: Platform, worker: PullWorker
) -> None:
    job_id = platform.start_job(images=1)
    items = worker.process(SLUG, worker.fetch(job_id))
    platform.ask("POST", f"/jobs/{job_id}/cancel/")
    posted = worker.send(job_id, items)
    assert (posted.status, posted.results_queued) == ("accepted", 0)
    assert platform.job(job_id)["status"] == "REVOKED"
    assert worker.poll(SLUGS) == []


def test_4_a_body_that_is_a_bare_list_is_a_400(platform: Platform, worker: PullWorker) -> None:
    job_id = platform.start_job(images=1)
    with pytest.raises(requests.HTTPError) as refused:
        worker.post(f"/jobs/{job_id}/result/", [])
    assert refused.value.response.json() == {
        "non_field_errors": ["Invalid data. Expected a dictionary, but got list."]
    }


def test_an_item_that_has_all_of_a_success_is_one_even_with_an_error_beside_it(
    platform: Platform, worker: PullWorker
) -> None:
    job_id = platform.start_job(images=1)
    (task,) = worker.fetch(job_id)
    item = success(SLUG, task, [moth()])
    item["result"]["error"] = "half of it went wrong"
    assert worker.send(job_id, [item]).results_queued == 1
