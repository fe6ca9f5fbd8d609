"""The command line of the demo, checked before anything is started."""

from __future__ import annotations

import argparse
import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ami.demo.credentials import check_private
from ami.demo.errors import WrongUse
from ami.demo.programs import ROOT
from ami.main.images import SUFFIXES

DRAWN_SHEETS = 12
MOST_UNASKED = 500
"""Images of a person's folder: they are copied, and a field season would fill the disk."""
USUAL_PORT = 8000


@dataclass(frozen=True)
class Options:
    """What was asked for, with all paths absolute."""

    data: Path
    images: Path | None
    """A person's own folder; None: the demo draws its captures."""
    available: int
    """How many images the folder has; 0 without a folder."""
    count: int
    """How many captures at most."""
    port: int
    once: bool
    json: Path | None


def read_options(arguments: Sequence[str] | None) -> Options:
    """Parse and check. Raises WrongUse; argparse itself ends the process with 2 for what it cannot parse."""
    given = _parser().parse_args(arguments)
    images: Path | None = given.images
    available = 0
    if images is not None:
        images = images.expanduser().absolute()
        available = _count_images(images)
    json: Path | None = given.json.absolute() if given.json else None
    if json is not None:
        _check_report(json)
    return Options(
        data=given.data.expanduser().absolute(),
        images=images,
        available=available,
        count=given.count or (DRAWN_SHEETS if images is None else MOST_UNASKED),
        port=_choose_port(given.port),
        once=given.once,
        json=json,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/demo",
        description="Runs the whole system on this machine, with a job to watch: real servers, web server, "
        "background work and a worker that finds insects. Ctrl-C stops all of it.",
        epilog="Servers that DATABASE_URL, REDIS_URL, CELERY_BROKER_URL or NATS_URL name are used instead of "
        "the demo's own; give some that no other installation uses. In a given database the demo makes or "
        "updates the tables of AMI, and adds a project and three accounts (...@demo.localhost, one of them "
        "an administrator) for this data folder. It changes no other project, deletes nothing, and leaves "
        "them there.",
    )
    parser.add_argument(
        "--images", type=Path, metavar="DIR", help="your own JPEG or PNG images (default: draws some)"
    )
    parser.add_argument(
        "--count",
        type=_positive,
        metavar="N",
        help=f"how many captures (default: {DRAWN_SHEETS} drawn ones, or up to {MOST_UNASKED} of DIR)",
    )
    parser.add_argument(
        "--port",
        type=_port,
        help=f"port of the web server on this machine (default: {USUAL_PORT}, or another if that is taken)",
    )
    parser.add_argument("--once", action="store_true", help="stop after the job; exit 0 if it succeeded")
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="write addresses, logins and counters to this file"
    )
    parser.add_argument(
        "--data",
        type=Path,
        metavar="DIR",
        default=ROOT / ".ami" / "demo",
        help="folder of the demo's data (default: .ami/demo in the checkout); delete it to begin anew",
    )
    return parser


def _positive(text: str) -> int:
    if (number := _whole_number(text)) is None or number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of captures; give a whole number from 1 up")
    return number


def _port(text: str) -> int:
    if (number := _whole_number(text)) is None or not 1 <= number <= 65_535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port; give a whole number from 1 to 65535")
    return number


def _whole_number(text: str) -> int | None:
    try:
        return int(text)
    except ValueError:
        return None


def _check_report(file: Path) -> None:
    """Try it out: at the end of a long job is a bad time to learn that its report cannot be written."""
    try:
        if file.is_dir():
            raise WrongUse(f"{file} cannot be written: it is a folder. Name a file with --json.")
        if file.exists() and not file.is_file():
            raise WrongUse(f"{file} cannot be written: it is not an ordinary file. Name one with --json.")
        if not file.parent.is_dir():
            raise WrongUse(f"{file} cannot be written: {file.parent} is not a folder.")
        if file.exists():
            file.open("ab").close()
        check_private(file)
    except OSError as error:
        raise WrongUse(
            f"{file} cannot be written: {error.strerror}. Name another file with --json."
        ) from error


def _count_images(folder: Path) -> int:
    if not folder.exists():
        raise WrongUse(f"{folder} does not exist. Name a folder with JPEG or PNG images.")
    if not folder.is_dir():
        raise WrongUse(f"{folder} is not a folder. Name the folder with the images, not an image.")
    if not os.access(folder, os.R_OK | os.X_OK):
        raise WrongUse(f"{folder} may not be read by you. Change its permissions, or copy the images.")
    count = sum(file.suffix.lower() in SUFFIXES for file in folder.rglob("*"))
    if not count:
        raise WrongUse(f"There are no JPEG or PNG images in {folder}. Name a folder that has some.")
    return count


def _choose_port(wanted: int | None) -> int:
    if wanted is not None:
        problem = _problem_of(wanted)
        if problem:
            raise WrongUse(f"Port {wanted} cannot be used: {problem}. Choose another with --port.")
        return wanted
    if not _problem_of(USUAL_PORT):
        return USUAL_PORT
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def _problem_of(port: int) -> str:
    """Why nobody can listen there, or nothing."""
    try:
        # Sets SO_REUSEADDR, as the web server will: connections of the last run do not make a port taken.
        socket.create_server(("127.0.0.1", port)).close()
    except PermissionError:
        return "only root may listen on it"
    except OSError:
        return "another program listens on it already"
    return ""
