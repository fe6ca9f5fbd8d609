"""What numbers a result may have: boxes on their image, scores from 0 to 1."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from ami.jobs.tests.world import World
from ami.ml.models import Classification

pytestmark = pytest.mark.integration

WIDTH, HEIGHT = 400, 300


def with_box(world: World, image_id: int, *box: float) -> dict[str, Any]:
    """A result whose second detection has this box."""
    body = world.result_body(image_id, 2)
    body["detections"][1]["bbox"] = dict(zip(("x1", "y1", "x2", "y2"), box, strict=True))
    return body


def with_numbers(world: World, image_id: int, **vectors: list[float]) -> dict[str, Any]:
    """A result whose only classification has these vectors."""
    body = world.result_body(image_id, 1)
    body["detections"][0]["classifications"][0].update(vectors)
    return body


@pytest.mark.parametrize(
    ("box", "inside"),
    [
        ((0, 0, WIDTH, HEIGHT), True),
        ((-1, -1, WIDTH + 1, HEIGHT + 1), True),
        ((5, 5, 5, 5), True),
        ((-1.1, 0, 5, 5), False),
        ((0, -1.1, 5, 5), False),
        ((0, 0, WIDTH + 1.1, 5), False),
        ((0, 0, 5, HEIGHT + 1.1), False),
        ((1e30, 1e30, 2e30, 2e30), False),
    ],
)
def test_a_box_lies_on_its_image_give_or_take_a_pixel(
    light_world: World, box: tuple[float, ...], inside: bool
) -> None:
    images = light_world.captures(2, width=WIDTH, height=HEIGHT)
    job = light_world.started_job(source_image_collection=light_world.capture_set(images))
    task, neighbour = light_world.reserve(job)
    answers = light_world.post(
        job,
        [
            {"reply_subject": task.token, "result": with_box(light_world, task.image_id, *box)},
            light_world.success(neighbour),
        ],
    )
    assert [answer.status for answer in answers] == ["queued" if inside else "retry", "queued"]
    if not inside:
        assert (
            answers[0].reason == "The box of detection 1 is not inside the image, which is 400 x 300 pixels."
        )


@pytest.mark.parametrize("size", [{}, {"width": WIDTH}, {"width": 0, "height": 0}])
def test_a_box_on_an_image_of_unknown_size_is_taken_as_it_is(
    light_world: World, size: dict[str, int]
) -> None:
    images = light_world.captures(1, **size)
    job = light_world.started_job(source_image_collection=light_world.capture_set(images))
    task = light_world.reserve(job)[0]
    result = with_box(light_world, task.image_id, 1e6, 0, 2e6, 5)
    assert light_world.post(job, [{"reply_subject": task.token, "result": result}])[0].status == "queued"


def test_sizes_cost_one_statement_however_many_images(light_world: World) -> None:
    images = light_world.captures(20, width=WIDTH, height=HEIGHT)
    job = light_world.started_job(source_image_collection=light_world.capture_set(images))
    tasks = light_world.reserve(job)
    with CaptureQueriesContext(connection) as counted:
        light_world.post(job, [light_world.success(task) for task in tasks])
    assert len([query for query in counted if "width" in query["sql"]]) == 1


@pytest.mark.parametrize(
    ("vectors", "complaint"),
    [
        ({"scores": [1.0005, -0.0005]}, ""),
        ({"scores": [0.5], "logits": [-50.0, 50.0, 3e38]}, ""),
        ({"scores": [0.1] * 5}, ""),
        ({"scores": [0.5, 1.002]}, "has the score 1.002; scores are from 0 to 1"),
        ({"scores": [-0.002, 0.5]}, "has the score -0.002; scores are from 0 to 1"),
        ({"scores": [0.5, float("inf")]}, "scores.1: Input should be a finite number"),
        ({"logits": [float("nan"), 1.0]}, "logits.0: Input should be a finite number"),
        ({"logits": [1.0, float("-inf")]}, "logits.1: Input should be a finite number"),
    ],
)
def test_scores_are_from_0_to_1_and_all_numbers_finite(
    light_world: World, vectors: dict[str, list[float]], complaint: str
) -> None:
    job = light_world.started_job(1)
    task = light_world.reserve(job)[0]
    result = with_numbers(light_world, task.image_id, **vectors)
    answer = light_world.post(job, [{"reply_subject": task.token, "result": result}])[0]
    assert answer.status == ("retry" if complaint else "queued")
    assert complaint in answer.reason
    if complaint:
        assert "detection" in answer.reason


def test_a_score_that_was_rounded_up_is_shown_as_one_and_kept_as_it_came(light_world: World) -> None:
    job = light_world.started_job(1)
    task = light_world.reserve(job)[0]
    result = with_numbers(light_world, task.image_id, scores=[1.0005, -0.0005])
    light_world.post(job, [{"reply_subject": task.token, "result": result}])
    light_world.background.run()
    saved = Classification.objects.get()
    assert saved.score == 1.0
    assert saved.scores == pytest.approx([1.0005, -0.0005])
