"""Results that cannot be taken, among good ones."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ami.chaos.pipeline import boxes_on, result_of
from ami.chaos.scenario import scenario

if TYPE_CHECKING:
    from ami.chaos.client import Item, Task
    from ami.chaos.run import Run

Spoil = Callable[["Item"], Any]


def _result(**changes: Any) -> Spoil:
    return lambda item: {**item, "result": {**item["result"], **changes}}


def _first(**changes: Any) -> Spoil:
    """Change the first detection."""

    def spoil(item: Item) -> Item:
        spoiled = copy.deepcopy(item)
        spoiled["result"]["detections"][0].update(changes)
        return spoiled

    return spoil


def _name(**changes: Any) -> Spoil:
    """Change the first classification of the first detection."""

    def spoil(item: Item) -> Item:
        spoiled = copy.deepcopy(item)
        spoiled["result"]["detections"][0]["classifications"][0].update(changes)
        return spoiled

    return spoil


def _many(item: Item) -> Item:
    spoiled = copy.deepcopy(item)
    spoiled["result"]["detections"] *= 10_001
    return spoiled


BAD: dict[str, Spoil] = {
    "no object": lambda _: 7,
    "null": lambda _: None,
    "empty": lambda _: {},
    "no result": lambda item: {"reply_subject": item["reply_subject"]},
    "another shape": lambda item: {**item, "result": {"detections": "many"}},
    "a list": lambda item: {**item, "result": []},
    "a forged lease": lambda item: {**item, "reply_subject": "x" + item["reply_subject"][1:]},
    "a subject of NATS": lambda item: {**item, "reply_subject": "$JS.ACK.job_1.x.1.2.3.4.5"},
    "another pipeline": _result(pipeline="somebody_elses"),
    "the wrong image": _result(source_images=[{"id": "1", "url": "https://images.example/1.jpg"}]),
    "a box of another image": _first(source_image_id="1"),
    "NaN": _first(bbox={"x1": float("nan"), "y1": 4.0, "x2": 8.0, "y2": 12.0}),
    "infinity": _first(bbox={"x1": 0.0, "y1": 4.0, "x2": float("inf"), "y2": 12.0}),
    "an unknown detector": _first(algorithm={"name": "Nobody", "key": "nobody"}),
    "an unknown classifier": _name(algorithm={"name": "Nobody", "key": "nobody"}),
    "a score of NaN": _name(scores=[float("nan"), 0.3, 0.2]),
    "NUL": _name(classification="mo\0th"),
    "half a character": _name(classification="mo\ud800th"),
    "too many": _many,
}
"""Ways to spoil a result so that it must not be taken."""

FINE: dict[str, Spoil] = {
    "the id as a number": lambda item: {
        **item,
        "result": {
            **item["result"],
            "source_images": [{**item["result"]["source_images"][0], "id": int(_image(item))}],
        },
    },
    "no image, for the lease names it": _result(source_images=[]),
    "unknown keys": _result(surplus={"deep": [1, 2, 3]}),
}
"""Ways to change a result so that it must be taken all the same."""


@scenario(
    "F22",
    "Results that cannot be taken among good ones",
    injects=f"posts in which {len(BAD)} items are spoilt, each in its own way",
    holds="Each bad item is refused with a reason; no good one is lost; the images are handed out again.",
)
def spoilt(run: Run) -> None:
    """Without a fault that ends there is nothing to heal."""
    images = max(run.images, 3 * len(BAD))
    job = run.start_job(run.night(images=images))
    worker = run.hand("fool")
    held = worker.hold(job.id, images)
    run.chance.shuffle(held)
    plan = _plan(held)
    items = [spoil(result_of(task)) for task, _, spoil in plan]
    answer = worker.insist(
        "POST", f"/jobs/{job.id}/result/", data=json.dumps({"results": items}).encode("utf-8")
    )
    refused = 0
    for (task, name, _), told in zip(plan, answer["tasks"], strict=True):
        status, good = told["status"], name not in BAD
        run.must((status == "queued") == good, f"I6 {name}: {status} {told.get('reason')}")
        run.must(good or bool(told.get("reason")), f"I2 {name}: {status} without a reason")
        if status == "queued":
            worker.accepted.add(int(task["image_id"]))
            worker.answers["queued"] += 1
        refused += status != "queued"
    run.notes["refused items"] = refused
    with run.workers():
        run.finish(job)


def _plan(held: list[Task]) -> list[tuple[Task, str, Spoil]]:
    """A way to spoil for tasks with boxes, until all ways are used; the others stay good."""
    ways = list((BAD | FINE).items())
    plan: list[tuple[Task, str, Spoil]] = []
    for task in held:
        if ways and boxes_on(int(task["image_id"])):
            plan.append((task, *ways.pop()))
        else:
            plan.append((task, "good", lambda item: item))
    return plan


def _image(item: Item) -> str:
    return str(item["result"]["source_images"][0]["id"])
