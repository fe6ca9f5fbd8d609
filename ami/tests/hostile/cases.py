"""What a case is: a request, the exact status of its refusal, and words that say why."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import pytest

from ami.tests.hostile.state import State, changes


class Watched(Protocol):
    """Somebody whose belongings are watched."""

    def state(self) -> State:
        """Everything as it is now, with all background work done."""


@dataclass(frozen=True, slots=True)
class Call:
    """A request that is ready to be sent: what it needs is made before anybody watches."""

    client: Any
    address: str
    body: Any = None
    """Bytes are sent as they are, everything else as JSON."""
    method: str = "POST"
    content: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)

    def send(self) -> Any:
        """The answer."""
        body = self.body if isinstance(self.body, bytes) else dumped(self.body or {})
        return self.client.generic(self.method, self.address, body, content_type=self.content, **self.headers)


def dumped(value: Any) -> bytes:
    """JSON as Python writes it, which knows NaN and halves of characters."""
    return json.dumps(value).encode()


@dataclass(frozen=True, slots=True)
class Case:
    """A request that is refused as a whole."""

    name: str
    make: Callable[[Any], Call]
    status: int
    says: str


def each(*cases: Case) -> pytest.MarkDecorator:
    """One test a case."""
    assert len({case.name for case in cases}) == len(cases)
    return pytest.mark.parametrize("case", [pytest.param(case, id=case.name) for case in cases])


@contextmanager
def untouched(watched: Watched, *but: str) -> Iterator[None]:
    """The block changes nothing, nor sets anything going that does, but in these tables."""
    before = watched.state()
    yield
    found = changes(before, watched.state())
    assert not found.keys() - set(but), found


def assert_refused(watched: Watched, case: Case) -> None:
    """The request is refused with status and reason, and nothing has changed."""
    call = case.make(watched)
    with untouched(watched):
        answer = call.send()
    assert answer.status_code == case.status, answer.content
    assert answer.headers["Content-Type"] == "application/json"
    assert case.says in json.dumps(answer.json(), ensure_ascii=False)
