"""What a pipeline has done is not done again: each rule of contract 3.3, against its statement in Python."""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django.fixtures import Settings

from ami.jobs.lifecycle.dispatch import dispatch_job
from ami.jobs.lifecycle.enqueue import run_job
from ami.jobs.models import Job, JobLog, JobTask
from ami.jobs.tests.world import World
from ami.main.models import SourceImage, Taxon
from ami.ml.models import Algorithm, Classification, Detection

pytestmark = pytest.mark.integration

Boxes = list[tuple[Algorithm, list[Algorithm]]]
"""Boxes of a capture: who found each, and who named it."""


class Done:
    """What is there on the captures of a world."""

    def __init__(self, world: World) -> None:
        """Nothing yet; with a second classifier that the pipeline does not use, and a detector."""
        self.world = world
        self.moth = Taxon.objects.create(name="moth of these tests")
        self.stranger = Algorithm.objects.create(key="stranger", name="Stranger", task_type="localization")
        self.second = Algorithm.objects.create(key="second", name="Second", task_type="classification")
        self.number = 0

    def nothing(self, capture: SourceImage, finder: Algorithm | None = None) -> None:
        """A marker that nothing was found."""
        Detection.objects.create(source_image=capture, detection_algorithm=finder or self.world.detector)

    def box(self, capture: SourceImage, *names: Algorithm, finder: Algorithm | None = None) -> None:
        """A box with these classifications."""
        self.number += 1
        detection = Detection.objects.create(
            source_image=capture,
            detection_algorithm=finder or self.world.detector,
            x1=self.number,
            y1=1,
            x2=self.number + 5,
            y2=9,
        )
        for algorithm in names:
            Classification.objects.create(
                detection=detection, algorithm=algorithm, taxon=self.moth, score=0.9
            )


@pytest.fixture
def done(light_world: World) -> Done:
    return Done(light_world)


def collected(world: World, captures: Iterable[SourceImage], **fields: Any) -> list[int]:
    """The captures that a new job over these takes."""
    capture_set = world.capture_set(list(captures))
    job = world.job(source_image_collection=capture_set, **fields)
    run_job(job)
    dispatch_job(job.pk)
    return list(JobTask.objects.filter(job=job).order_by("image_id").values_list("image_id", flat=True))


def test_each_rule(done: Done) -> None:
    world = done.world
    (
        fresh,
        empty,
        named,
        unnamed,
        half_named,
        by_a_stranger,
        empty_for_a_stranger,
        named_by_another,
        named_by_both,
    ) = captures = world.captures(9)
    classifier = world.classifier
    done.nothing(empty)
    done.box(named, classifier)
    done.box(named, classifier)
    done.box(unnamed)
    done.box(half_named, classifier)
    done.box(half_named)
    done.box(by_a_stranger, classifier, finder=done.stranger)
    done.nothing(empty_for_a_stranger, done.stranger)
    done.box(named_by_another, done.second)
    done.box(named_by_both, classifier, done.second)
    wanted = [fresh, unnamed, half_named, by_a_stranger, empty_for_a_stranger, named_by_another]
    assert collected(world, captures) == [capture.pk for capture in wanted]
    assert JobLog.objects.filter(message__startswith="3 captures are left out").count() == 1


def test_a_new_classifier_brings_captures_with_boxes_back_and_only_those(done: Done) -> None:
    world = done.world
    empty, named = world.captures(2)
    done.nothing(empty)
    done.box(named, world.classifier)
    assert collected(world, [empty, named]) == []
    world.pipeline.algorithms.add(done.second)
    assert collected(world, [empty, named]) == [named.pk]


def test_a_job_with_nothing_to_do_ends_well(done: Done) -> None:
    world = done.world
    (empty,) = world.captures(1)
    done.nothing(empty)
    assert collected(world, [empty]) == []
    world.background.run()
    assert Job.objects.get().status == "SUCCESS"


def test_a_flag_and_a_pipeline_without_classifiers_leave_nothing_out(done: Done) -> None:
    world = done.world
    (named,) = captures = world.captures(1)
    done.box(named, world.classifier)
    world.project.flags = {"reprocess_all_images": True}
    world.project.save()
    assert collected(world, captures) == [named.pk]
    world.project.flags = {}
    world.project.save()
    world.pipeline.algorithms.remove(world.classifier)
    assert collected(world, captures) == [named.pk]


def test_a_limit_counts_what_is_to_be_done(done: Done) -> None:
    world = done.world
    captures = world.captures(6)
    for capture in captures[:3]:
        done.nothing(capture)
    assert collected(world, captures, limit=2) == [capture.pk for capture in captures[3:5]]


def to_do(world: World, boxes: Boxes, empty: bool) -> bool:
    """The rules in plain words."""
    ours = set(world.pipeline.algorithms.all())
    real = [names for finder, names in boxes if finder in ours]
    if not real and not empty:
        return True
    if not real:
        return False
    if any(not names for names in real):
        return True
    named_by = {algorithm for names in real for algorithm in names}
    return world.classifier not in named_by


@pytest.mark.parametrize("chunk", [7, 1_000])
def test_whatever_is_there_the_rules_hold_in_every_chunk(done: Done, settings: Settings, chunk: int) -> None:
    settings.COLLECT_CHUNK = chunk
    world, chance = done.world, random.Random(5)
    captures = world.captures(60)
    wanted = []
    for capture in captures:
        empty = chance.random() < 0.3
        if empty:
            done.nothing(capture)
        boxes: Boxes = []
        for _ in range(chance.randrange(3)):
            finder = chance.choice([world.detector, world.detector, done.stranger])
            names = chance.sample([world.classifier, done.second], chance.randrange(3))
            boxes.append((finder, names))
            done.box(capture, *names, finder=finder)
        if to_do(world, boxes, empty):
            wanted.append(capture.pk)
    assert 0 < len(wanted) < 60
    with CaptureQueriesContext(
        connection,
    ) as queries:
        assert collected(world, captures) == wanted
    inserts = [query for query in queries if "INSERT INTO jobs_jobtask" in query["sql"]]
    assert len(inserts) == 60 // chunk + 1
