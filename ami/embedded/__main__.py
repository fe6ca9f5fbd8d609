"""`python -m ami.embedded [-- COMMAND]`: run the servers, alone or around a command."""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import os
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from ami.embedded.command import run
from ami.embedded.errors import EmbeddedError
from ami.embedded.folders import temporary_folder
from ami.embedded.signals import signals_end_this
from ami.embedded.stack import Stack

WATCH_SECONDS = 0.2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m ami.embedded",
        description="Runs Postgres, Valkey and NATS on this machine for as long as it runs itself. "
        "Servers whose address is in the environment (DATABASE_URL, REDIS_URL, NATS_URL) are not started.",
    )
    parser.add_argument(
        "--data", type=Path, metavar="DIR", help="keep the data here (default: delete it at the end)"
    )
    parser.add_argument("--durable", action="store_true", help="write data so that it survives a power cut")
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="write the addresses to this file while the servers run"
    )
    parser.add_argument(
        "command",
        nargs="*",
        help="run this with the addresses in its environment, then stop; put -- before it",
    )
    options = parser.parse_args(arguments)
    logging.basicConfig(format="%(message)s")
    try:
        with (
            signals_end_this(),
            _folder(options.data) as folder,
            Stack(folder, durable=options.durable) as stack,
            _announced(stack, options.json),
        ):
            return run(options.command, stack.environment()) if options.command else _serve(stack)
    except EmbeddedError as error:
        print(error, file=sys.stderr)
        return 1


def _serve(stack: Stack) -> int:
    """Show the addresses and stay until a signal comes or a server dies."""
    for name, value in stack.environment().items():
        print(f"{name}={value}", flush=True)
    print("Press Ctrl-C to stop.", file=sys.stderr)
    while all(server.running for server in stack.servers):
        threading.Event().wait(WATCH_SECONDS)
    dead = next(server for server in stack.servers if not server.running)
    raise EmbeddedError(f"{dead.name} has ended; its log is {dead.log}")


def _folder(given: Path | None) -> contextlib.AbstractContextManager[Path]:
    return contextlib.nullcontext(given) if given else temporary_folder()


@contextlib.contextmanager
def _announced(stack: Stack, file: Path | None) -> Iterator[None]:
    if file is None:
        yield
        return
    unfinished = file.with_name(f"{file.name}.{os.getpid()}")
    unfinished.touch(mode=0o600)
    unfinished.write_text(json.dumps(stack.environment(), indent=2) + "\n")
    unfinished.rename(file)
    try:
        yield
    finally:
        file.unlink(missing_ok=True)


if __name__ == "__main__":
    sys.exit(main())
