"""`scripts/chaos`: break a whole platform in many ways and see whether it keeps its promises."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from ami.chaos import scenarios
from ami.chaos.outcome import Outcome
from ami.chaos.page import write_page
from ami.chaos.platform import Platform
from ami.chaos.report import as_text, line, table
from ami.chaos.scenario import chosen, known
from ami.embedded.errors import EmbeddedError
from ami.embedded.folders import temporary_folder
from ami.embedded.signals import signals_end_this

scenarios.load()


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; 0 when every promise was kept and everything ended in its time."""
    options = _parser().parse_args(argv)
    if options.list:
        for one in known():
            variants = f" ({', '.join(one.variants)})" if one.variants != ("",) else ""
            print(f"{one.id:<4} {one.title}{variants}")
        return 0
    try:
        plan = chosen(options.scenarios)
    except KeyError as error:
        print(f"There is no scenario {error.args[0]}; --list shows all.", file=sys.stderr)
        return 2
    outcomes: list[Outcome] = []
    try:
        with signals_end_this(), temporary_folder() as folder, Platform(folder) as platform:
            os.environ.update(platform.environment, LOG_LEVEL="ERROR")
            # Django reads its settings when it is imported, so not before the servers have addresses.
            from ami.chaos.runner import run_all  # noqa: PLC0415

            seeds = range(options.first_seed, options.first_seed + options.seeds)
            for outcome in run_all(platform, plan, seeds=seeds, images=options.images):
                outcomes.append(outcome)
                print(line(outcome), flush=True)
                if options.keep_logs:
                    platform.keep_logs(options.keep_logs / outcome.name.replace(":", "-"))
    except EmbeddedError as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        if outcomes:
            print(f"\n{as_text(table(outcomes))}")
            if options.json:
                options.json.write_text(json.dumps([one.as_dict() for one in outcomes], indent=2) + "\n")
    if options.report:
        write_page(outcomes, [*sys.argv[1:]] if argv is None else argv, images=options.images)
    return 0 if all(one.good for one in outcomes) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="scripts/chaos", description=__doc__)
    parser.add_argument(
        "scenarios",
        nargs="*",
        metavar="SCENARIO",
        help="F3, or one variant of it as F3:save.claimed (default: all)",
    )
    parser.add_argument(
        "--seeds", type=int, default=1, help="how often each, with other chance (%(default)s)"
    )
    parser.add_argument("--first-seed", type=int, default=1, help="to repeat one run (%(default)s)")
    parser.add_argument("--images", type=int, default=60, help="images of a job (%(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every run to this file")
    parser.add_argument("--report", action="store_true", help="write docs/reference/chaos-report.md")
    parser.add_argument("--keep-logs", type=Path, metavar="DIR", help="copy the logs here after each run")
    parser.add_argument("--list", action="store_true", help="list the scenarios")
    return parser


if __name__ == "__main__":
    sys.exit(main())
