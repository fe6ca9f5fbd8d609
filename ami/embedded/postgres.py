"""An embedded PostgreSQL: the truth. Reached through a Unix socket that only its owner can enter; no TCP."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import signal
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from urllib.parse import quote

import psutil

from ami.embedded.account import Account, find_account
from ami.embedded.binaries import find_postgres
from ami.embedded.errors import EmbeddedError
from ami.embedded.process import ServerProcess, alive
from ami.embedded.server import Server

USER = DATABASE = "ami"
MAX_CONNECTIONS = 200
SOCKET = ".s.PGSQL.5432"
SOCKET_PATH_LIMIT = 100
"""Bytes; Linux allows 107 and macOS 103."""
FIRST_WITH_OWN_LOCALES = 17
MEMORY_BESIDE_DATA = "dynamic_shared_memory_type=mmap"
"""Not in /dev/shm, which is small in containers and which a killed server litters."""
NOT_DURABLE = ("fsync=off", "full_page_writes=off")
"""A commit still reaches the operating system before it is confirmed, so a killed server loses nothing."""


class Postgres(Server):
    """PostgreSQL with one database and one superuser, both `ami`; trusts whoever can enter its folder."""

    name = "PostgreSQL"
    stop_signal = signal.SIGINT

    @property
    def url(self) -> str:
        # Not `ami@%2Fsocket%2Fdirectory/ami`: that is good for libpq, but URL parsers keep the %2F.
        return f"postgresql://{USER}@/{DATABASE}?host={quote(str(self._socket_directory))}"

    @property
    def _data(self) -> Path:
        return self.home / "postgres"

    @property
    def _socket_directory(self) -> Path:
        """Beside the data, unless that path is too long for a socket."""
        beside = self.home / "socket"
        if len(os.fsencode(beside / SOCKET)) <= SOCKET_PATH_LIMIT:
            return beside
        digest = hashlib.sha256(os.fsencode(self.home)).hexdigest()[:12]
        return Path(tempfile.gettempdir()) / f"ami-{os.geteuid()}-{digest}"

    def starting(self) -> Iterator[None]:
        program = find_postgres(self._environ)
        account, version_text = find_account(program, self.home)
        version = _major_version(version_text)
        if not self._data.exists():
            yield from self._create(program, account, version)
        self._check_data(account, version)
        self._open_socket_directory(account)
        self._remove_locks_of_the_dead()
        self._process = process = self._run(account, [program, "-D", self._data, *_options(self._settings())])
        for _ in self._waiting(process):
            if self._accepts_connections(process):
                return
            yield
        raise EmbeddedError(f"PostgreSQL ended while it started:\n{process.said()}")

    def wait_until_stopped(self) -> None:
        super().wait_until_stopped()
        if self._socket_directory.parent != self.home:
            shutil.rmtree(self._socket_directory, ignore_errors=True)

    def _settings(self) -> list[str]:
        return [
            "listen_addresses=",
            f"unix_socket_directories={self._socket_directory}",
            f"max_connections={MAX_CONNECTIONS}",
            *self._storage_settings(),
        ]

    def _storage_settings(self) -> tuple[str, ...]:
        return (MEMORY_BESIDE_DATA,) if self.durable else (MEMORY_BESIDE_DATA, *NOT_DURABLE)

    def _create(self, program: Path, account: Account, version: int) -> Iterator[None]:
        """Make a cluster with our database in it; named when complete, so a crash leaves no half of it."""
        unfinished = self.home / "postgres.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700)
        account.owns(unfinished)
        # PostgreSQL's own C.UTF-8 knows the cases of all scripts and is the same on every machine.
        flavour = ["--no-locale"]
        if version >= FIRST_WITH_OWN_LOCALES:
            flavour = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
            flavour += ["--set", MEMORY_BESIDE_DATA]
        sync = () if self.durable else ("--no-sync",)
        owner = (f"--username={USER}", "--auth=trust")
        initdb = [str(program.with_name("initdb")), "-D", str(unfinished), "--encoding=UTF8"]
        yield from self._complete(account, [*initdb, *owner, *flavour, *sync])
        create = self.home / "create.sql"
        create.write_text(f"CREATE DATABASE {DATABASE}\n")
        with create.open("rb") as sql:
            single = [
                str(program),
                "--single",
                "-D",
                str(unfinished),
                *_options(self._storage_settings()),
                "postgres",
            ]
            yield from self._complete(account, single, stdin=sql.fileno())
        create.unlink()
        unfinished.rename(self._data)

    def _complete(
        self, account: Account, argv: Sequence[str | Path], stdin: int | None = None
    ) -> Iterator[None]:
        """Run a program to its end."""
        self._process = process = self._run(account, argv, stdin=stdin)
        yield from self._waiting(process)
        if process.returncode != 0:
            raise EmbeddedError(f"PostgreSQL's data could not be created in {self.home}:\n{process.said()}")

    def _run(self, account: Account, argv: Sequence[str | Path], stdin: int | None = None) -> ServerProcess:
        kept = {name: value for name, value in self._environ.items() if not name.startswith("PG")}
        return ServerProcess(
            argv,
            log=self.log,
            cwd=self.home,
            # Without LC_ALL macOS starts a thread in Postgres, which refuses that; TZ spares initdb a search.
            env={**kept, "LC_ALL": "C", "TZ": "UTC"},
            account=account.how,
            stdin=stdin,
            keep_open=self.keep_open,
        )

    def _check_data(self, account: Account, version: int) -> None:
        made_by = int((self._data / "PG_VERSION").read_text())
        if made_by != version:
            raise EmbeddedError(
                f"The data in {self._data} was made by PostgreSQL {made_by} and this is {version}. "
                f"Name that version's program in AMI_POSTGRES, or delete the folder to begin anew."
            )
        if self._data.stat().st_uid != account.uid and os.geteuid() == 0:
            for path in (self._data, *self._data.rglob("*")):
                os.chown(path, account.uid, account.gid, follow_symlinks=False)

    def _open_socket_directory(self, account: Account) -> None:
        directory = self._socket_directory
        directory.mkdir(mode=0o700, exist_ok=True)
        if directory.is_symlink() or directory.stat().st_uid not in {os.geteuid(), account.uid}:
            raise EmbeddedError(f"{directory} belongs to somebody else; remove it.")
        directory.chmod(0o700)
        account.owns(directory)

    def _remove_locks_of_the_dead(self) -> None:
        """Postgres respects the lock files of any process with that number, be it a zombie or a stranger."""
        pid_file = self._data / "postmaster.pid"
        with contextlib.suppress(FileNotFoundError, ValueError, psutil.Error):
            owner = psutil.Process(int(pid_file.read_text().split("\n")[0]))
            if alive(owner) and owner.cwd() == str(self._data):
                return
        for stale in (pid_file, *self._socket_directory.glob(f"{SOCKET}*")):
            stale.unlink(missing_ok=True)

    def _accepts_connections(self, process: ServerProcess) -> bool:
        """What `pg_ctl --wait` does: the server keeps its state in the last line of its pid file."""
        try:
            lines = (self._data / "postmaster.pid").read_text().split("\n")
        except FileNotFoundError:
            return False
        return lines[0] == str(process.pid) and len(lines) > 7 and lines[7].strip() == "ready"


def _options(settings: Iterable[str]) -> list[str]:
    return [part for setting in settings for part in ("-c", setting)]


def _major_version(version_text: str) -> int:
    """18 from `postgres (PostgreSQL) 18.6`."""
    if match := re.search(r"\(PostgreSQL\) (\d+)", version_text):
        return int(match[1])
    raise EmbeddedError(f"This is no PostgreSQL server; asked for its version it says: {version_text}")
