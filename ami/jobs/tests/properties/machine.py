"""All rules together: the state machine whose runs are lives."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import invariant

from ami.jobs.tests.properties.answers import Form, Item
from ami.jobs.tests.properties.ending import Ending
from ami.jobs.tests.properties.life import A_LONG_TIME, BOB
from ami.jobs.tests.properties.misfortunes import Loss, Misfortunes
from ami.jobs.tests.properties.people import Verb
from ami.jobs.tests.properties.stops import How
from ami.jobs.tests.properties.workers import owner_of

ALWAYS = ("checks_run", "time_passes", "trouble_comes")
"""Rules of which there is always one to run."""


class _Rules:
    """What the library asks for each rule of a life."""

    def __init__(self, left_out: Collection[str]) -> None:
        self._left_out = left_out

    def is_enabled(self, name: str) -> bool:
        """Whether this life knows the rule."""
        return name not in self._left_out


class Lives(Ending, Misfortunes):
    """One instance is one life."""

    def __init__(self) -> None:
        """Every life knows most of the rules; by default the library makes most lives know few."""
        super().__init__()
        strategy: Any = self._rules_strategy
        assert hasattr(strategy, "enabled_rules_strategy"), "this version of hypothesis needs another way"
        some = sorted({rule.function.__name__ for rule in strategy.rules}.difference(ALWAYS))
        left_out = st.frozensets(st.sampled_from(some), max_size=len(some) // 2)
        strategy.enabled_rules_strategy = st.shared(left_out.map(_Rules), key=("rules", self))

    def happen(self, how: How) -> None:
        """Somebody else does something, at a moment when no transaction is open."""
        happenings: dict[How, Callable[[], object]] = {
            How.CANCEL: lambda: self.cancel(0),
            How.RETRY: lambda: self.repeat(Verb.RUN, 0),
            How.CAPTURE_DELETED: lambda: self.delete_capture(0),
            How.TIME: lambda: self.pass_time(A_LONG_TIME),
            How.FLUSH: lambda: self.tamper(self.servers.flush_redis),
            How.STREAM_GONE: lambda: self.lose_from_nats(0, Loss.STREAM),
            How.RESERVE: lambda: self.take(BOB, 2, 0),
            How.POST: self.post_the_last,
            How.CHECKS: self.check_health,
            How.BACKGROUND: self.work_off,
        }
        if self.jobs:
            happenings[how]()

    def post_the_last(self) -> None:
        """The last task that anybody heard of is answered."""
        if self.held:
            task = self.held[-1]
            self.send(task.job_id, owner_of(task), [Item(task, Form.RESULT)])

    @invariant()
    def is_sound(self) -> None:
        """What must hold at every moment, holds after every step; and no trouble lasts for ever."""
        self.look_around()
        self.just, self.now = self.now, ""
        self.trouble_lasts -= 1
        if self.trouble_lasts <= 0:
            self.recover()

    def teardown(self) -> None:
        """The end, unless a failure has ended it."""
        if self.jobs and sys.exc_info()[0] is None:
            self.end()
