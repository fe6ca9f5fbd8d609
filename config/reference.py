"""Writes docs/reference/settings.md from the declarations: `python -m config.reference [--check]`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

PAGE = Path(__file__).resolve().parent.parent / "docs" / "reference" / "settings.md"

HEAD = """# Settings

Every setting is an environment variable of the same name; `<NAME>_FILE` names a file that holds the value
instead, which is how container platforms hand over secrets. Nonsense is refused at start
(`manage.py check`).

This page is generated from the declarations in `config/settings/` by `python -m config.reference`.

| setting | kind | default | meaning |
|---|---|---|---|
"""


def page() -> str:
    """The page as it should be. Reads the declarations in an environment without any setting."""
    for name in [*os.environ]:
        if name not in {"PATH", "HOME", "LANG", "PYTHONPATH"}:
            del os.environ[name]
    from config import declare  # noqa: PLC0415 - only now is the environment empty
    from config.settings import base  # noqa: F401, PLC0415 - importing it fills the declarations

    rows = []
    for setting in declare.DECLARED.values():
        default = "*(empty)*" if setting.default in ("", []) else f"`{setting.default}`"
        if setting.name == "AMI_DATA_DIR":
            default = "`.ami` in the checkout"
        kind = f"{setting.kind}, secret" if setting.secret else setting.kind
        rows.append(f"| `{setting.name}` | {kind} | {default} | {setting.meaning} |")
    return HEAD + "\n".join(sorted(rows)) + "\n"


def main(argv: Sequence[str] | None = None) -> int:
    """Write the page; with `--check` only say whether it is up to date."""
    parser = argparse.ArgumentParser(prog="python -m config.reference", description=__doc__)
    parser.add_argument("--check", action="store_true", help="exit 1 if the page is out of date")
    wanted, current = page(), PAGE.read_text() if PAGE.exists() else ""
    if parser.parse_args(argv).check:
        if wanted != current:
            sys.stderr.write("docs/reference/settings.md is out of date: run python -m config.reference\n")
            return 1
        return 0
    PAGE.write_text(wanted)
    return 0


if __name__ == "__main__":
    sys.exit(main())
