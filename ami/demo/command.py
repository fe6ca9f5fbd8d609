"""Starts everything, runs a job, shows what was found, and stops everything when told to."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

import django

from ami.base.errors import AmiError
from ami.demo.credentials import Credentials, load_credentials
from ami.demo.errors import DemoError, WrongUse
from ami.demo.given import check_given, given_servers
from ami.demo.options import Options, read_options
from ami.demo.programs import Programs
from ami.demo.screen import Screen
from ami.demo.sheets import draw_sheets, missing_sheets
from ami.embedded.errors import EmbeddedError
from ami.embedded.stack import ADDRESSES, Stack
from ami.worker.errors import WorkerError

WATCH_SECONDS = 1.0


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the demo; returns the exit code: 0 as wanted, 1 something went wrong, 2 wrong use."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal may not know every letter of a file's name
    try:
        return _run(read_options(arguments), Screen())
    except WrongUse as error:
        print(error, file=sys.stderr)
        return error.exit_code
    except (DemoError, EmbeddedError, AmiError, WorkerError) as error:
        print(f"\n{error}", file=sys.stderr)
        return 1


def _run(options: Options, screen: Screen) -> int:
    check_given(os.environ)
    _make_folder(options.data)
    images = _images(options, screen)
    credentials = load_credentials(options.data)
    with contextlib.ExitStack() as resources:
        stack = Stack(options.data / "servers")
        if given := given_servers(os.environ):
            screen.say(f"Servers of the environment are used, not servers of the demo: {', '.join(given)}.")
        with screen.step(_names(stack)) if stack.servers else contextlib.nullcontext():
            resources.enter_context(stack)
        environment = _environment(options, credentials, stack)
        programs = Programs(options.data / "logs", environment)
        resources.enter_context(programs)
        resources.callback(screen.say, "Stopping everything ...")
        # It takes a while to load, and needs no tables for that.
        programs.start_web(options.port)
        with screen.step("Loading"):
            os.environ.update(environment)
            django.setup()
            # Django reads its settings when it is set up, so not before the servers have addresses.
            from ami.demo.show import Demo  # noqa: PLC0415

        url = f"http://127.0.0.1:{options.port}"
        accounts = credentials.accounts(shared="DATABASE_URL" in given)
        report = Demo(options, credentials, accounts, programs, screen, images, url).show()
        report.show(screen)
        if options.json:
            report.write_json(options.json)
        if options.once:
            return 0 if report.succeeded else 1
        screen.say("\nEverything keeps running. Press Ctrl-C to stop it.")
        _stay(programs, stack)


def _make_folder(data: Path) -> None:
    try:
        data.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WrongUse(
            f"{data} cannot be made ({error.strerror}). Name another folder with --data."
        ) from error
    if not os.access(data, os.W_OK | os.X_OK):
        raise WrongUse(f"{data} cannot be written by you. Name another folder with --data.")


def _images(options: Options, screen: Screen) -> Path:
    """The folder whose images become captures; drawn first where the demo has none."""
    if options.images is not None:
        return options.images
    folder = options.data / "sheets"
    if missing := missing_sheets(folder, options.count):
        with screen.step("Drawing light sheets") as step:
            draw_sheets(folder, missing, tell=lambda done: step.note(f"{done} of {len(missing)}"))
    return folder


def _names(stack: Stack) -> str:
    """The servers that the demo starts, as a list in words."""
    *names, last = (server.name for server in stack.servers)
    return f"{', '.join(names)} and {last}" if names else last


def _environment(options: Options, credentials: Credentials, stack: Stack) -> Mapping[str, str]:
    """What every process of the demo gets, this one included."""
    return {
        **{name: value for name, value in os.environ.items() if name not in ADDRESSES},
        **stack.environment(),
        "CACHE_URL": "",
        "DJANGO_SETTINGS_MODULE": "config.settings.local",
        "DJANGO_SECRET_KEY": credentials.secret_key,
        "AMI_DATA_DIR": str(options.data),
        "EXTERNAL_BASE_URL": "",
        "PYTHONUNBUFFERED": "1",
    }


def _stay(programs: Programs, stack: Stack) -> NoReturn:
    """Until a signal ends this; raises DemoError when a part of the system ends by itself."""
    while True:
        programs.watch(WATCH_SECONDS)
        for server in stack.servers:
            if not server.running:
                raise DemoError(f"{server.name} has ended. Its log is {server.log}")
