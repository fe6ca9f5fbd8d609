"""All three servers as one: started side by side, described by environment variables, stopped together."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from ami.embedded.errors import EmbeddedError
from ami.embedded.folders import claim
from ami.embedded.nats import Nats
from ami.embedded.postgres import Postgres
from ami.embedded.server import Server, start_together
from ami.embedded.valkey import Valkey

ADDRESSES = ("DATABASE_URL", "REDIS_URL", "CELERY_BROKER_URL", "NATS_URL")
ALL_SERVERS: tuple[type[Server], ...] = (Postgres, Valkey, Nats)
BROKER_DATABASE = 1

AnyServer = TypeVar("AnyServer", bound=Server)


class Stack:
    """Postgres, Valkey and NATS with their data in one folder; without those whose address is given.

    `with Stack(folder) as stack:` starts them, and stops them whatever happens.
    """

    def __init__(
        self,
        data_dir: Path,
        durable: bool = False,
        *,
        servers: Collection[type[Server]] = ALL_SERVERS,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        """`durable`: survive a power cut. `environ`: where DATABASE_URL, REDIS_URL, NATS_URL may be given."""
        self.data_dir = data_dir.absolute()
        self._given = {name: environ[name] for name in ADDRESSES if environ.get(name)}
        self._lock: int | None = None

        def unless(name: str, kind: type[AnyServer]) -> AnyServer | None:
            if name in self._given or kind not in servers:
                return None
            return kind(self.data_dir, durable=durable, environ=environ)

        self._postgres = unless("DATABASE_URL", Postgres)
        self._valkey = unless("REDIS_URL", Valkey)
        self._nats = unless("NATS_URL", Nats)
        self.servers: list[Server] = [s for s in (self._postgres, self._valkey, self._nats) if s]
        """Those that are ours."""

    @property
    def postgres(self) -> Postgres:
        """The Postgres of this stack; fails if DATABASE_URL was given."""
        return _ours(self._postgres, "DATABASE_URL")

    @property
    def valkey(self) -> Valkey:
        """The Valkey of this stack; fails if REDIS_URL was given."""
        return _ours(self._valkey, "REDIS_URL")

    @property
    def nats(self) -> Nats:
        """The NATS of this stack; fails if NATS_URL was given."""
        return _ours(self._nats, "NATS_URL")

    def environment(self) -> dict[str, str]:
        """The addresses of all servers, given or ours, by the names that the settings read."""
        ours = {}
        if self._postgres:
            ours["DATABASE_URL"] = self._postgres.url
        if self._valkey:
            ours["REDIS_URL"] = self._valkey.url
            ours["CELERY_BROKER_URL"] = self._valkey.database_url(BROKER_DATABASE)
        if self._nats:
            ours["NATS_URL"] = self._nats.url
        return {**ours, **self._given}

    def start(self) -> None:
        """Start all servers side by side and wait until clients can connect."""
        self._lock = lock = claim(self.data_dir)
        try:
            for server in self.servers:
                # They hold the lock too, so the folder stays taken until the last of them is gone.
                server.keep_open = (lock,)
            start_together(self.servers)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop all servers side by side; does nothing to those that are stopped."""
        for server in self.servers:
            server.ask_to_stop()
        for server in self.servers:
            server.wait_until_stopped()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _ours(server: AnyServer | None, name: str) -> AnyServer:
    if server is None:
        raise EmbeddedError(f"This stack has no server of its own for {name}: it was given or not wanted.")
    return server
