"""The example rules for Prometheus speak of figures that there are, and name pages that there are."""

from __future__ import annotations

import re
from pathlib import Path

from ami.base.metrics.declare import TABLE
from ami.jobs.metrics import table  # noqa: F401 - fills the table

ROOT = Path(__file__).resolve().parent.parent.parent
RULES = (ROOT / "compose" / "prometheus" / "ami.rules.yml").read_text()
_ENDING = re.compile(r"_(bucket|sum|count)$")


def test_every_figure_of_a_rule_is_in_the_table() -> None:
    named = set(re.findall(r"\bami_\w+", RULES))
    assert named
    assert {name for name in named if _ENDING.sub("", name) not in TABLE} == set()


def test_every_alert_names_its_page() -> None:
    alerts = RULES.count("- alert:")
    pages = re.findall(r"runbook: (\S+)", RULES)
    assert len(pages) == alerts > 0
    assert [page for page in pages if not (ROOT / page).read_text().strip()] == []
