"""The register of scenarios, and how they are chosen."""

from __future__ import annotations

import pytest

from ami.chaos import scenarios
from ami.chaos.outcome import Outcome
from ami.chaos.report import as_markdown, as_text, line, table
from ami.chaos.scenario import chosen, known


@pytest.fixture(autouse=True)
def loaded() -> None:
    """All of them."""
    scenarios.load()


def test_scenarios_come_in_the_order_of_their_numbers_and_say_what_they_do() -> None:
    numbers = [int(one.id[1:]) for one in known()]
    assert numbers == sorted(numbers)
    for one in known():
        assert one.title
        assert one.injects
        assert one.holds
        assert one.body.__doc__


def test_a_scenario_is_chosen_whole_or_by_its_variant() -> None:
    names = [(one.id, variants) for one, variants in chosen(["f8:at 99 %", "F3", "F3:save.claimed"])]
    assert names[1] == ("F8", ("at 99 %",))
    assert names[0][0] == "F3"
    assert len(names[0][1]) > 5


@pytest.mark.parametrize("name", ["F0", "F3:nowhere", "x"])
def test_what_is_none_is_refused(name: str) -> None:
    with pytest.raises(KeyError, match=name):
        chosen([name])


def test_the_table_has_a_row_per_variant_over_all_seeds() -> None:
    outcomes = [
        Outcome("F3", "a", 1, heal_seconds=1.0),
        Outcome("F3", "a", 2, heal_seconds=3.0, violations=["I1 broken"]),
        Outcome("F4", "", 1, error="not within 5 s: it ends", notes={"kept %": 50.0}),
    ]
    rows = table(outcomes)
    assert [row[:6] for row in rows[1:]] == [
        ("F3:a", "2", "1", "0", "2.0", "3.0"),
        ("F4", "1", "0", "1", "", ""),
    ]
    assert rows[2][-1] == "kept % 50"
    assert as_markdown(rows).count("\n") == 3
    assert as_text(rows).splitlines()[1].startswith("F3:a ")
    assert line(outcomes[1]).splitlines()[1].strip() == "I1 broken"
    assert line(outcomes[2]).startswith("FAILED F4")
