"""What saving writes: each box and each name once, and numbers that match the rows."""

from __future__ import annotations

import pytest

from ami.jobs.lifecycle.save import save_inbox_row
from ami.jobs.tests.world import World
from ami.main.models import Taxon
from ami.ml.models import Classification, Detection
from ami.ml.results import FoundDetection, ImageResult, write

pytestmark = pytest.mark.integration


def test_nothing_found_is_marked_once_and_counts_nothing(light_world: World) -> None:
    job, entry = light_world.accepted_job(2, boxes=0)
    captures = light_world.inbox_images()[0]
    save_inbox_row(entry.pk)
    light_world.assert_ended_exactly(job, 2, boxes=0)
    light_world.flag(reprocess_all_images=True)
    again = light_world.started_job(source_image_collection=job.source_image_collection)
    light_world.post(again, [light_world.success(task, boxes=0) for task in light_world.reserve(again)])
    light_world.background.run()
    markers = Detection.objects.filter(x1__isnull=True)
    assert sorted(markers.values_list("source_image_id", "detection_algorithm_id")) == [
        (capture, light_world.detector.pk) for capture in captures
    ]
    assert light_world.figures(again)["detections"] == 0


def test_failed_and_cancelled_images_get_no_null_marker(light_world: World) -> None:
    job = light_world.started_job(2)
    tasks = light_world.reserve(job)
    light_world.post(job, [light_world.error(task, retryable=False) for task in tasks])
    light_world.background.run()
    assert not Detection.objects.exists()


def test_repeated_boxes_and_names_in_a_result_are_stored_and_counted_once(light_world: World) -> None:
    job = light_world.started_job(1)
    item = light_world.success(light_world.reserve(job)[0])
    for detection in item["result"]["detections"]:
        detection["classifications"] *= 3
    item["result"]["detections"] *= 2
    light_world.post(job, [item])
    light_world.background.run()
    light_world.assert_ended_exactly(job, 1)


def test_predictions_are_written_in_one_order_so_that_savers_of_the_same_captures_cannot_deadlock() -> None:
    def result(image_id: int, left: float) -> ImageResult:
        boxes = [(left + n, 0.0, left + n + 1, 1.0) for n in (2, 0, 1)]
        found = [FoundDetection(1, box, None, "", ()) for box in boxes]
        return ImageResult(image_id, 1, tuple(found))

    results = [result(7, 5.0), result(3, 9.0), result(5, 0.0)]
    keys = list(write._distinct_detections(results))
    assert keys == sorted(keys) == list(write._distinct_detections(results[::-1]))


def test_a_second_opinion_adds_names_and_keeps_boxes(light_world: World) -> None:
    light_world.flag(reprocess_all_images=True)
    captures = light_world.captures(1)
    for label in ("moth", "beetle"):
        job = light_world.started_job(source_image_collection=light_world.capture_set(captures))
        item = light_world.success(light_world.reserve(job)[0])
        for detection in item["result"]["detections"]:
            detection["classifications"][0]["classification"] = label
        light_world.post(job, [item])
        light_world.background.run()
        assert light_world.figures(job)["classifications"] == 2
    assert (Detection.objects.count(), Classification.objects.count()) == (2, 4)
    assert set(Taxon.objects.values_list("name", "rank")) == {("moth", "ORDER"), ("beetle", "ORDER")}


def test_a_rank_of_unusual_length_in_a_category_map_does_not_poison_results(light_world: World) -> None:
    category_map = light_world.classifier.category_map
    assert category_map is not None
    category_map.data = [{"index": 0, "label": "moth", "taxon_rank": "species complex " * 5}]
    category_map.save()
    job, entry = light_world.accepted_job()
    save_inbox_row(entry.pk)
    light_world.assert_ended_exactly(job, 3)


def test_a_taxon_deleted_meanwhile_is_made_again(world: World) -> None:
    job, entry = world.accepted_job()
    save_inbox_row(entry.pk)
    Detection.objects.all().delete()
    Taxon.objects.all().delete()
    job, entry = world.accepted_job()
    save_inbox_row(entry.pk)
    world.background.run()
    world.assert_ended_exactly(job, 3)
