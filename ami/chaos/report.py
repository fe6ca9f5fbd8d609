"""The table: one line per scenario and variant, over all its seeds."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Iterable, Sequence

from ami.chaos.outcome import Outcome

HEADER = (
    "scenario",
    "seeds",
    "violations",
    "not ended",
    "heal median s",
    "heal max s",
    "redeliveries / image",
    "duplicated work %",
    "looks",
    "figures of its own (median)",
)


def table(outcomes: Iterable[Outcome]) -> list[tuple[str, ...]]:
    """The header, then a row per scenario and variant."""
    rows: list[tuple[str, ...]] = [HEADER]
    for name, group in itertools.groupby(outcomes, key=lambda one: one.name):
        rows.append(_row(name, list(group)))
    return rows


def as_text(rows: Sequence[Sequence[str]]) -> str:
    """Columns below each other, for a terminal."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def as_markdown(rows: Sequence[Sequence[str]]) -> str:
    """The same as a table in Markdown."""
    header, *body = rows
    lines = [header, ["---"] * len(header), *body]
    return "\n".join(f"| {' | '.join(cell for cell in line)} |" for line in lines)


def line(outcome: Outcome) -> str:
    """What one run showed, in a line, and below it what was wrong."""
    heal = "" if outcome.heal_seconds is None else f"healed after {outcome.heal_seconds:.1f} s, "
    notes = "".join(f", {name} {value:g}" for name, value in outcome.notes.items())
    verdict = "ok    " if outcome.good else "FAILED"
    wrong = [*outcome.violations, *([outcome.error] if outcome.error else [])]
    return "\n  ".join(
        [
            f"{verdict} {outcome.name} seed {outcome.seed}: {heal}{outcome.seconds:.1f} s in all, "
            f"{outcome.redeliveries:.2f} redeliveries per image, {outcome.duplicated:.0f} % done twice, "
            f"{outcome.samples} looks{notes}",
            *wrong,
        ]
    )


def _row(name: str, group: Sequence[Outcome]) -> tuple[str, ...]:
    heals = [one.heal_seconds for one in group if one.heal_seconds is not None]
    notes = dict.fromkeys(key for one in group for key in one.notes)
    figures = (
        f"{key} {statistics.median(one.notes[key] for one in group if key in one.notes):.3g}" for key in notes
    )
    return (
        name,
        str(len(group)),
        str(sum(len(one.violations) for one in group)),
        str(sum(bool(one.error) for one in group)),
        f"{statistics.median(heals):.1f}" if heals else "",
        f"{max(heals):.1f}" if heals else "",
        f"{statistics.mean(one.redeliveries for one in group):.2f}",
        f"{statistics.mean(one.duplicated for one in group):.1f}",
        str(sum(one.samples for one in group)),
        ", ".join(figures),
    )
