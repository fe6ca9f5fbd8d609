"""Whatever is sent to the API, it answers: no operation of its description can be made to fail."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from pytest_django.fixtures import Settings
from requests import PreparedRequest, Request
from schemathesis import Case, GenerationMode

from ami.base.outgoing import ServiceUnreachable, fetching
from ami.jobs import dispatcher as dispatching
from ami.tests.fuzz.description import Operation, described_kinds, kind_of, operations, sharpened
from ami.tests.fuzz.laboratory import CALLERS, Laboratory, PromptDispatcher
from ami.tests.fuzz.twists import Twist, accepted, twists
from ami.tests.routes import all_routes

pytestmark = [pytest.mark.integration, pytest.mark.django_db]

AnyCase = Case[Any]

EXAMPLES = int(os.environ.get("AMI_FUZZ_EXAMPLES", "4"))
"""Requests per operation, each sent by everybody."""
SEED = int(os.environ.get("AMI_FUZZ_SEED", "1"))

NOT_DESCRIBED = {"api", "docs", "schema", "capture"}
"""Parts of the API that its description leaves out: pages, files."""

KINDS = sorted(
    {kind_of(route.name) for route in all_routes() if route.path.startswith("/api/")} - NOT_DESCRIBED
)


@pytest.fixture
def laboratory(
    db: None, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Laboratory]:
    """A small world without waiting, limits of rates, and a way out to the network."""
    settings.MEDIA_ROOT = tmp_path
    settings.LONG_POLL_MAX_SECONDS = 0
    settings.NATS_OPERATION_TIMEOUT = 10.0  # a machine that is busy is no failure
    for name in ("API", "WORKER", "RESULTS", "ANONYMOUS"):
        setattr(settings, f"RATE_LIMIT_{name}", 10**9)
    monkeypatch.setattr(fetching, "permitted_addresses", nobody)
    background = PromptDispatcher()
    before = dispatching.install(background)
    made = Laboratory(background)
    yield made
    made.close()
    dispatching.install(before or background)


def nobody(_target: object) -> list[object]:
    """What a look-up says while the network is away. Whether it guards addresses is tested elsewhere."""
    raise ServiceUnreachable


def test_every_kind_of_operation_is_tried() -> None:
    assert described_kinds() == set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_no_request_makes_the_server_fail(kind: str, laboratory: Laboratory) -> None:
    pairs = zip(operations(kind), sharpened(kind, laboratory.known), strict=True)
    for described, sharp in pairs:
        statuses = try_out(cases(described, sharp, laboratory), described.path, laboratory)
        assert statuses, described.label
        print(described.label, dict(statuses))


def try_out(made_up: st.SearchStrategy[AnyCase], path: str, laboratory: Laboratory) -> Counter[int]:
    """Send made-up requests to an operation; returns which answers came."""
    statuses: Counter[int] = Counter()
    tried: set[tuple[object, ...]] = set()

    @seed(SEED)
    @settings(
        max_examples=EXAMPLES,
        database=None,
        deadline=None,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate, Phase.shrink],
    )
    @given(made_up, accepted(), twists())
    def send(case: AnyCase, accept: str, twist: Twist) -> None:
        request = twist(prepared(case))
        request.headers["Accept"] = accept
        what = (request.method, request.url, request.body, tuple(request.headers.items()))
        if what not in tried:
            for who in CALLERS:
                statuses[laboratory.try_out(who, request, path)] += 1
            tried.add(what)

    with suppress(Unsatisfiable):  # nothing can be wrong with a request that has nothing in it
        send()
    return statuses


def cases(described: Operation, sharp: Operation, laboratory: Laboratory) -> st.SearchStrategy[AnyCase]:
    """Requests about what exists, as they should be and not; and some that only the description allows."""
    known = laboratory.address(described.path) or None
    return st.one_of(
        sharp.as_strategy(GenerationMode.POSITIVE, path_parameters=known),
        sharp.as_strategy(GenerationMode.NEGATIVE, path_parameters=known),
        described.as_strategy(GenerationMode.POSITIVE, path_parameters=known),
        described.as_strategy(GenerationMode.POSITIVE),
        described.as_strategy(GenerationMode.NEGATIVE),
    )


def prepared(case: AnyCase) -> PreparedRequest:
    """The request as it goes over the wire, without the token that belongs to it."""
    request = Request(**case.as_transport_kwargs(base_url="http://testserver")).prepare()
    request.headers.pop("Authorization", None)
    return request
