"""Bodies that are no JSON, too large, too deep, packed with ill will, or say what no field can mean."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from ami.jobs.tests.api.lab import JOBS, at
from ami.tests.hostile.cases import Call, Case, assert_refused, dumped, each, untouched
from ami.tests.hostile.victim import RESERVE, Victim

pytestmark = [pytest.mark.hostile, pytest.mark.integration]

Make = Callable[[Victim], Call]
KIB = 1024
SPACES = b" " * 256 * KIB


@pytest.fixture(autouse=True)
def small(settings: Settings) -> None:
    """Limits that are reached with little."""
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 256 * KIB
    settings.WORKER_CALL_MAX_BYTES = 128 * KIB
    settings.RESULT_MAX_ITEMS = 5


def nested(depth: int) -> bytes:
    """Lists in lists."""
    return b"[" * depth + b"]" * depth


def results(body: bytes, content: str = "application/json", **headers: str) -> Make:
    """These bytes as a result post of the honest worker."""
    return lambda it: Call(it.honest, at(it.job, "result"), body, content=content, headers=headers)


def with_good_item(body: Callable[[bytes], bytes], content: str = "application/json", **headers: str) -> Make:
    """Bytes around a good item, which must not be taken."""
    return lambda it: results(body(dumped(it.success())), content, **headers)(it)


def post_of(item: bytes) -> bytes:
    """A good post."""
    return b'{"results":[%b]}' % item


def reserve(**body: Any) -> Make:
    """A reservation by the honest worker."""
    return lambda it: Call(it.honest, RESERVE, {"batch_size": 1} | body)


def new_job(**body: Any) -> Make:
    """A job of the manager, good but for this."""
    return lambda it: Call(
        it.lab.client("manager"), JOBS, {"name": "New", "delay": 0, "project_id": it.world.project.pk} | body
    )


def again(image: Any) -> Make:
    """A failed image that the manager wants to be done again."""
    return lambda it: Call(it.lab.client("manager"), at(it.job, "retry-failed"), {"images": [image]})


def register(*pipelines: Any, name: Any = "GPU") -> Make:
    """A registration by the honest worker."""
    body = {"processing_service_name": name, "pipelines": list(pipelines)}
    return lambda it: Call(it.honest, f"/api/v2/projects/{it.world.project.pk}/pipelines/", body)


CLASSES = {"labels": ["moth", "fly"], "data": [{"index": 0, "label": "moth"}]}
FINDER = {"name": "F", "key": "finder", "task_type": "localization"}
NAMER = {"name": "N", "key": "namer", "task_type": "classification"}
PIPELINE = {"name": "P", "slug": "p", "version": 1, "algorithms": [FINDER]}


@each(
    Case("no JSON", with_good_item(lambda it: b'{"results":[%b]' % it), 400, "not valid JSON"),
    Case("nested beyond measure", results(b'{"results":%b}' % nested(50_000)), 400, "nested"),
    Case("items as an object", with_good_item(lambda it: b'{"results":{"0":%b}}' % it), 400, "list of items"),
    Case("too many items", with_good_item(lambda it: b'{"results":[%b,1,2,3,4,5]}' % it), 400, "at most 5"),
    Case("text", with_good_item(post_of, content="text/plain"), 415, "text/plain"),
    Case("no gzip", with_good_item(post_of, HTTP_CONTENT_ENCODING="gzip"), 400, "not valid gzip"),
    Case(
        "gzip bomb",
        with_good_item(
            lambda it: gzip.compress(b'{"results":[%b],"x":"%b"}' % (it, b"x" * 10_000 * KIB)),
            HTTP_CONTENT_ENCODING="gzip",
        ),
        413,
        "larger than 256 KiB",
    ),
    Case(
        "oversize", with_good_item(lambda it: b'{"results":[%b%b]}' % (it, b" " * 256 * KIB)), 413, "larger"
    ),
)
def test_a_body_that_cannot_be_read_is_refused_as_a_whole(victim: Victim, case: Case) -> None:
    assert_refused(victim, case)
    assert victim.goes_on()


@each(
    Case("batch of minus one", reserve(batch_size=-1), 400, "greater than or equal to 1"),
    Case("waiting for ever", reserve(wait=1e9), 400, "less than or equal to 3600"),
    Case("waiting for NaN", reserve(wait="nan"), 400, "valid number"),
    Case("job named by a list", new_job(name=["x"]), 400, "Not a valid string"),
    Case("job with a NUL", new_job(name="a\x00b"), 400, "Null characters"),
    Case("job with half a character", new_job(name="\ud800"), 400, "not valid JSON"),
    Case("job with an endless name", new_job(name="x" * 5_000), 400, "no more than 255"),
    Case("failed image 2**63", again(2**63), 400, "less than or equal to"),
    Case("job in project 2**63", new_job(project_id=2**63), 400, "valid integer"),
    Case(
        "job on part of a station",
        lambda it: new_job(deployment_id=it.world.deployment.pk + 0.7)(it),
        400,
        "received float",
    ),
    Case(
        "labels that disagree",
        register(PIPELINE | {"algorithms": [FINDER, NAMER | {"category_map": CLASSES}]}),
        400,
        "2 labels, but 1 items",
    ),
    Case("a thousand and one pipelines", register(*[{}] * 1_001), 400, "1000"),
)
def test_values_that_no_field_can_mean_are_refused(victim: Victim, case: Case) -> None:
    assert_refused(victim, case)


def twice(victim: Victim) -> bytes:
    """A good item with a second, forged token."""
    return dumped(victim.success())[:-1] + b',"reply_subject":"forged"}'


def deep(victim: Victim) -> bytes:
    """A good item with something too deep in it."""
    return dumped(victim.success())[:-1] + b',"x":%b}' % nested(80)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        pytest.param(twice, "lease", id="token twice"),
        pytest.param(deep, "deeper than 64 levels", id="nested too deep"),
    ],
)
def test_an_item_of_ill_will_is_rejected_alone(
    victim: Victim, make: Callable[[Victim], bytes], says: str
) -> None:
    call = results(b'{"results":[%b]}' % make(victim))(victim)
    with untouched(victim):
        answer = call.send()
    (item,) = answer.json()["tasks"]
    assert (answer.status_code, item["status"], says in item["reason"]) == (200, "rejected", True)
    assert victim.goes_on()
