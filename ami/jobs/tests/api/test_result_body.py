"""Result posts are taken apart without being parsed; each item is judged, and refused, alone."""

from __future__ import annotations

import gzip
import io
import tracemalloc
from contextlib import ExitStack, suppress
from types import SimpleNamespace
from typing import Any

import orjson
import pytest
from pytest_django.fixtures import Settings
from rest_framework.exceptions import APIException

from ami.base.api.json import MAX_DEPTH
from ami.jobs.api.large_posts import gate
from ami.jobs.api.result_body import HELD, PostedItems, ResultParser
from ami.jobs.lifecycle.posts import Unreadable
from ami.jobs.tests.api.lab import Lab, at

MIB = 2**20


def parsed(body: bytes, held: ExitStack | None = None, **headers: Any) -> Any:
    """What the parser makes of a body."""
    request = SimpleNamespace(META={"CONTENT_LENGTH": str(len(body)), **headers})
    return ResultParser().parse(io.BytesIO(body), "application/json", {"request": request, HELD: held})


def items(body: bytes) -> list[Any]:
    """The parsed items of a body."""
    results = parsed(body)["results"]
    assert isinstance(results, PostedItems)
    return list(results)


def refusal(body: bytes, **headers: Any) -> APIException:
    """The error for a body."""
    with pytest.raises(APIException) as caught:
        parsed(body, **headers)
    return caught.value


def nested(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


def test_items_are_what_they_would_be_if_the_whole_body_were_parsed() -> None:
    post: dict[str, Any] = {
        "client_info": {"name": "gpu", "n": [1, 2.5, None]},
        "results": [{"reply_subject": 'ü]}"\\', "result": {"a": [1.5, -2, 1e-9]}}, None, 5, "text", [], {}],
        "more": {"results": [1]},
    }
    for body in (orjson.dumps(post), orjson.dumps(post, option=orjson.OPT_INDENT_2)):
        assert items(body) == post["results"]
        assert parsed(body)["client_info"] == post["client_info"]


@pytest.mark.parametrize(
    "value", [[], [1], "text", "", 5, -5, 1.5, 2e9, True, False, None, {}], ids=lambda value: repr(value)
)
def test_what_is_no_post_keeps_its_type_for_the_refusal(value: Any) -> None:
    assert type(parsed(b" \n" + orjson.dumps(value))) is type(value)
    if not isinstance(value, list):
        assert type(parsed(orjson.dumps({"results": value}))["results"]) is type(value)


@pytest.mark.parametrize(
    "body", [b"", b"{", b'{"results": [}', b"nul", b'{"results": [1]} x', b"\xff", b"{1: 2}"]
)
def test_a_malformed_body_is_a_400(body: bytes) -> None:
    error = refusal(body)
    assert (error.status_code, "not valid JSON" in str(error.detail)) == (400, True)


def test_an_item_that_is_no_json_by_itself_is_one_unreadable_item() -> None:
    deep, bad_bytes = nested(MAX_DEPTH + 1), b'"\xff\xfe"'
    good = b'{"a":1}'
    found = items(b'{"results":[%b,%b,%b,%b]}' % (good, deep, bad_bytes, good))
    assert found[0] == found[3] == {"a": 1}
    assert isinstance(found[1], Unreadable)
    assert "nested deeper" in found[1].reason
    assert isinstance(found[2], Unreadable)
    assert "not valid JSON" in found[2].reason


@pytest.mark.parametrize("word", [b"NaN", b"-Infinity", b"Infinity", rb'"\ud800"', rb'"a\udfff"'])
def test_what_only_python_takes_for_json_spoils_one_item(word: bytes) -> None:
    body = (
        b' { "client_info": {"name": "a"}, "x": NaN,\n "results" : [ {"a": 1}, {"b": [1, %b]} , {"c": 2}]}'
        % word
    )
    found = items(body)
    assert [list(item) for item in found] == [["a"], ["b"], ["c"]]
    assert parsed(body)["client_info"] == {"name": "a"}


def test_nesting_beyond_measure_is_refused_at_once() -> None:
    for body in (
        b'{"results":[%b]}' % nested(100_000),
        b'{"x": NaN, "results":[' + nested(100_000),
    ):
        assert refusal(body).status_code == 400


def test_the_client_names_itself_or_what_it_says_is_ignored() -> None:
    for info in (nested(100), b'"\xff"', b'"' + b"x" * 100_000 + b'"'):
        assert parsed(b'{"results":[],"client_info":%b}' % info)["client_info"] is None


def test_items_beyond_the_cap_take_no_memory(settings: Settings) -> None:
    body = b'{"results":[' + b"0," * (8 * MIB) + b"0]}"
    tracemalloc.start()
    assert len(parsed(body)["results"]) == settings.RESULT_MAX_ITEMS + 1
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2 * len(body)


def test_items_take_memory_one_at_a_time() -> None:
    one = orjson.dumps({"scores": [number + 0.5 for number in range(200_000)]})
    results = parsed(b'{"results":[' + b",".join([one] * 24) + b"]}")["results"]
    tracemalloc.start()
    for item in results:
        assert len(item["scores"]) == 200_000
        del item
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    values = 200_000 * 32
    assert peak < 6 * values, "what is needed to parse one, and its values; all together are 24 times that"


def test_an_item_of_too_many_values_is_not_even_parsed() -> None:
    found = items(b'{"results":[[' + b"[]," * 4_000_000 + b'[]],{"a":1}]}')
    assert isinstance(found[0], Unreadable)
    assert "values" in found[0].reason
    assert found[1] == {"a": 1}


def test_a_large_post_takes_a_place_until_it_is_answered_and_a_small_one_none(settings: Settings) -> None:
    settings.LARGE_POST_BYTES = 1_000
    settings.LARGE_POSTS_AT_ONCE = 1
    body = b'{"results":["%b"]}' % (b"x" * 2_000)
    with ExitStack() as held:
        results = parsed(body, held)["results"]
        assert len(results) == 1
        assert not gate().places.acquire(blocking=False)
        with ExitStack() as other:
            assert len(parsed(b'{"results":[1]}', other)["results"]) == 1, "small posts never wait"
    assert len(results) == 0, "the memory is given back as well"
    with gate().place(wait=0):
        pass


@pytest.mark.parametrize("case", ["gzip", "no length"])
def test_a_post_that_turns_out_large_takes_a_place_as_well(settings: Settings, case: str) -> None:
    settings.LARGE_POST_BYTES = 1_000
    settings.LARGE_POSTS_AT_ONCE = 1
    body = b'{"results":["%b"]}' % (b"x" * 2_000)
    with ExitStack() as held:
        if case == "gzip":
            packed = gzip.compress(body)
            parsed(packed, held, HTTP_CONTENT_ENCODING="gzip", CONTENT_LENGTH=str(len(packed)))
        else:
            parsed(body, held, CONTENT_LENGTH="")
        assert not gate().places.acquire(blocking=False)


@pytest.mark.parametrize("body", [b"{" + b" " * 2_000, b'["%b"]' % (b"x" * 2_000)])
def test_a_place_is_given_back_when_the_body_is_refused(settings: Settings, body: bytes) -> None:
    settings.LARGE_POST_BYTES = 1_000
    settings.LARGE_POSTS_AT_ONCE = 1
    with ExitStack() as held, suppress(APIException):
        parsed(body, held)
    with gate().place(wait=0):
        pass


@pytest.mark.integration
def test_who_finds_no_place_is_told_when_to_come_back(
    lab: Lab, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.LARGE_POST_BYTES = 1_000
    settings.LARGE_POSTS_AT_ONCE = 1
    job = lab.world.started_job(images=2)
    large, small = (lab.success(task) for task in lab.tasks(job))
    large["padding"] = "x" * 2_000
    with gate().place(wait=0), gate().queue:
        refused = lab.post(at(job, "result"), {"results": [large]})
        assert (refused.status_code, refused.json()["status"]) == (503, "error")
        assert int(refused["Retry-After"]) >= 1
        assert "large posts" in refused.json()["detail"]
        assert lab.post(at(job, "result"), {"results": [small]}).json()["results_queued"] == 1
    assert lab.post(at(job, "result"), {"results": [large]}).json()["results_queued"] == 1


@pytest.mark.integration
def test_a_gzipped_post_is_accepted(lab: Lab) -> None:
    job = lab.world.started_job(images=2)
    packed = gzip.compress(orjson.dumps({"results": [lab.success(task) for task in lab.tasks(job)]}))
    answer = lab.client("superuser").generic(
        "POST", at(job, "result"), packed, content_type="application/json", HTTP_CONTENT_ENCODING="gzip"
    )
    assert answer.json()["results_queued"] == 2


@pytest.mark.integration
def test_a_spoilt_item_does_not_lose_its_neighbours(lab: Lab) -> None:
    job = lab.world.started_job(images=6)
    good, *spoilt, last = (orjson.dumps(lab.success(task)) for task in lab.tasks(job))
    spoilt[0] = spoilt[0].replace(b"[0.75,", b"[NaN,")
    spoilt[1] = spoilt[1].replace(b'"moth"', rb'"\ud800"')
    spoilt[2] = spoilt[2].replace(b'"moth"', b'"\xff"')
    spoilt[3] = b'{"reply_subject":"\\ud800","deep":%b}' % nested(80)
    extra = b'{"reply_subject":"\\ud800 forged"}'
    body = b'{"results":[%b]}' % b",".join([good, *spoilt, extra, last])
    answer = lab.client("superuser").generic("POST", at(job, "result"), body, content_type="application/json")
    assert answer.status_code == 200, answer.content
    told = answer.json()["tasks"]
    assert [item["status"] for item in told] == [
        *("queued", "retry", "retry", "rejected", "rejected", "rejected", "queued")
    ]
    assert "scores.0: Input should be a finite number" in told[1]["reason"]
    assert told[5]["reply_subject"] == "? forged"


@pytest.mark.integration
def test_a_call_for_tasks_is_small(lab: Lab, settings: Settings) -> None:
    settings.WORKER_CALL_MAX_BYTES = 1_000
    job = lab.world.started_job(images=1)
    refused = lab.post(at(job, "tasks"), {"batch_size": 1, "client_info": {"x": "y" * 1_000}})
    assert refused.status_code == 413
