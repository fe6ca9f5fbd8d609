"""Results under a good lease that say what cannot be: each is a failed attempt at its image, and no more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ami.jobs.states import TaskState
from ami.tests.hostile.state import changes
from ami.tests.hostile.victim import OPEN_LEASES, Victim

pytestmark = [pytest.mark.hostile, pytest.mark.integration]

Result = dict[str, Any]
Spoil = Callable[[Result, str], Any]
"""Makes a bad result of a good one and the id of another image."""

STRANGER = {"name": "X", "key": "not registered"}
NAN, INFINITY = float("nan"), float("inf")


def top(**values: Any) -> Spoil:
    """Other values at the top."""
    return lambda result, _: result | values


def detection(**values: Any) -> Spoil:
    """Other values in the only detection."""
    return lambda result, _: result | {"detections": [result["detections"][0] | values]}


def naming(**values: Any) -> Spoil:
    """Other values in the only classification."""

    def spoil(result: Result, _: str) -> Result:
        box = result["detections"][0]
        return result | {"detections": [box | {"classifications": [box["classifications"][0] | values]}]}

    return spoil


def box(x1: Any, y1: Any, x2: Any, y2: Any) -> Spoil:
    """The detection at another place."""
    return detection(bbox={"x1": x1, "y1": y1, "x2": x2, "y2": y2})


BAD: dict[str, tuple[Spoil, str]] = {
    "another pipeline": (top(pipeline="birds"), "the job runs"),
    "unregistered detector": (detection(algorithm=STRANGER), "not registered"),
    "image of another lease": (
        lambda it, other: it | {"source_images": [{"id": other, "url": ""}]},
        "another",
    ),
    "NaN in a box": (box(NAN, 0, 5, 5), "finite"),
    "box inside out": (box(9, 9, 1, 1), "before it begins"),
    "box left of the image": (box(-50, 0, 5, 5), "not inside the image"),
    "NaN score": (naming(scores=[NAN, 0.5]), "finite"),
    "score above one": (naming(scores=[1.5, 0.5]), "from 0 to 1"),
    "no scores": (naming(scores=[]), "no scores"),
    "NUL in a label": (naming(classification="mo\x00th"), "pattern"),
    "half a character in a label": (naming(classification="\ud800"), "classification"),
    "detection in the year 1": (detection(timestamp="0001-01-01T00:00:00"), "1900"),
    "error about another image": (lambda _, other: {"error": "x", "image_id": other}, "about image"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_result_that_cannot_be_is_not_kept(victim: Victim, name: str) -> None:
    spoil, says = BAD[name]
    good = victim.success()
    bad = good | {"result": spoil(good["result"], victim.second["image_id"])}
    before = victim.state()
    answer = victim.result(bad).send()
    after = victim.state()
    assert (answer.status_code, answer.json()["results_queued"]) == (200, 0)
    (item,) = answer.json()["tasks"]
    assert (item["status"], item["task_id"]) == ("retry", "")
    assert says in item["reason"]
    changed = changes(before, after)
    assert changed.keys() == {"jobs_jobtask", "jobs_attempt", OPEN_LEASES}, "no box, no name, nothing waits"
    row = victim.world.row(victim.job, int(victim.task["image_id"]))
    assert (row.status, row.attempt, row.accepted_in) == (TaskState.PENDING, 1, None)
    assert len(changed["jobs_jobtask"]) == 2, "the rows of the other images are as they were"
