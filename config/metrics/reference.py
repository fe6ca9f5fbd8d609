"""Writes docs/reference/metrics.md from the table: `python -m config.metrics.reference [--check]`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

PAGE = Path(__file__).resolve().parent.parent.parent / "docs" / "reference" / "metrics.md"

HEAD = """# Metrics

What `/metrics` of the web server shows, in Prometheus' text format.
[Monitoring](../howto/operate/monitoring.md) says how to read it, and which alerts to begin with;
[ADR 0015](../adr/0015-metrics.md) how it works and what it costs.

Gauges are the state of the whole system, asked of the named server and at most five seconds old: ask one web
server for them. Counters and histograms are what processes counted since they started. They carry the
labels `process` (`web` or `celery`) and `host` besides their own.

This page is generated from the declarations in `ami/base/metrics/counted.py` and `ami/jobs/metrics/table.py`
by `python -m config.metrics.reference`.

"""
TITLES = {"gauge": "State", "counter": "Counters", "histogram": "Durations, in seconds"}


def page() -> str:
    """The page as it should be."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.test")
    from ami.base.metrics import counted  # noqa: F401, PLC0415 - importing them fills the table
    from ami.base.metrics.declare import TABLE  # noqa: PLC0415
    from ami.jobs.metrics import table  # noqa: F401, PLC0415

    parts = [HEAD]
    for kind, title in TITLES.items():
        asked = kind == "gauge"
        parts.append(f"## {title}\n\n")
        parts.append(f"| name | labels |{' asked of |' if asked else ''} meaning | when it is high |\n")
        parts.append(f"|---|---|{'---|' if asked else ''}---|---|\n")
        for known in TABLE.values():
            if known.kind == kind:
                labels = ", ".join(f"`{label}`" for label in known.labels)
                source = f" {known.source} |" if asked else ""
                parts.append(f"| `{known.name}` | {labels} |{source} {known.meaning} | {known.high} |\n")
        parts.append("\n")
    return "".join(parts).rstrip("\n") + "\n"


def main(argv: Sequence[str] | None = None) -> int:
    """Write the page; with `--check` only say whether it is up to date."""
    parser = argparse.ArgumentParser(prog="python -m config.metrics.reference", description=__doc__)
    parser.add_argument("--check", action="store_true", help="exit 1 if the page is out of date")
    wanted, written = page(), PAGE.read_text() if PAGE.exists() else ""
    if parser.parse_args(argv).check:
        if wanted != written:
            sys.stderr.write(
                "docs/reference/metrics.md is out of date: run python -m config.metrics.reference\n"
            )
            return 1
        return 0
    PAGE.write_text(wanted)
    return 0


if __name__ == "__main__":
    sys.exit(main())
