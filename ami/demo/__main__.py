"""`python -m ami.demo`: see `--help`."""

from __future__ import annotations

import sys

from ami.embedded.signals import signals_end_this


def main() -> int:
    """Run the demo and return the exit code."""
    with signals_end_this():
        try:
            # Takes half a second, in which Ctrl-C should end this without a traceback.
            from ami.demo.command import run  # noqa: PLC0415
        except ModuleNotFoundError as error:
            print(
                f"The Python package {error.name} is missing. Start the demo with scripts/demo, which "
                "installs what it needs, or: pip install --require-hashes -r requirements/dev.txt",
                file=sys.stderr,
            )
            return 1
        return run()


if __name__ == "__main__":
    sys.exit(main())
