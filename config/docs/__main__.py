"""Writes the pages that are made from code: `python -m config.docs [--check]`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import django

DOCS = Path(__file__).resolve().parent.parent.parent / "docs"

Page = Callable[[str], str]
"""Makes the text of a file as it should be from the text that it has."""


def pages() -> dict[Path, Page]:
    """Every page that is made from code. Django is set up."""
    # They import models, so they can be imported only now.
    from config.docs import api, commands, diagrams, states  # noqa: PLC0415

    reference = DOCS / "reference"
    return {
        reference / "commands.md": commands.page,
        reference / "states.md": lambda _: states.page(),
        reference / "images" / "job-states.svg": lambda _: diagrams.job_states(),
        reference / "images" / "image-states.svg": lambda _: diagrams.task_states(),
        reference / "api.md": lambda _: api.page(),
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Write the pages; with `--check` name those that are out of date and return 1 if there are any."""
    parser = argparse.ArgumentParser(prog="python -m config.docs", description=__doc__)
    parser.add_argument("--check", action="store_true", help="exit 1 if a page is out of date")
    check = parser.parse_args(argv).check
    os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings.test"
    django.setup()
    code = 0
    for file, page in pages().items():
        current = file.read_text() if file.exists() else ""
        wanted = page(current)
        if wanted == current:
            continue
        if check:
            name = file.relative_to(DOCS.parent)
            sys.stderr.write(f"{name} is out of date: run python -m config.docs\n")
            code = 1
        else:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(wanted)
    return code


if __name__ == "__main__":
    sys.exit(main())
