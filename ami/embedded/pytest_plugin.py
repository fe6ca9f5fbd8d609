"""Gives a pytest session its servers, before Django reads the settings. Loaded by `-p` in pyproject.toml.

Without xdist this process runs all three. With xdist the controller runs Postgres, where Django makes a
database for each worker, and each worker runs a Valkey and a NATS of its own: a test may flush the one and
delete every stream of the other. Servers whose address is in the environment are used as they are, by all.
"""

from __future__ import annotations

import argparse
import contextlib
import os
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from ami.embedded.folders import temporary_folder
from ami.embedded.nats import Nats
from ami.embedded.postgres import Postgres
from ami.embedded.server import Server
from ami.embedded.stack import ALL_SERVERS, Stack
from ami.embedded.valkey import Valkey

STACK = pytest.StashKey[Stack]()
FOLDER = "AMI_EMBEDDED_FOLDER"
"""Tells the workers where the session keeps its data, so that a killed worker leaves nothing behind."""

AnyServer = TypeVar("AnyServer", bound=Server)


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> Generator[None, None, None]:
    """Start the servers and put their addresses into the environment; a wrapper runs before pytest-django."""
    options = early_config.known_args_namespace
    if not (options.help or options.version):
        session = contextlib.ExitStack()
        early_config.add_cleanup(session.close)
        folder = session.enter_context(temporary_folder(os.environ.get(FOLDER)))
        stack = Stack(folder, servers=[Postgres] if _has_workers(options) else ALL_SERVERS)
        session.enter_context(stack)
        session.enter_context(_in_environment(stack.environment() | {FOLDER: str(folder)}))
        early_config.stash[STACK] = stack
    return (yield)


def _has_workers(options: argparse.Namespace) -> bool:
    """Whether this is xdist's controller. A worker gets the same options."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        return False
    return bool(getattr(options, "numprocesses", None) or getattr(options, "tx", None))


@contextlib.contextmanager
def _in_environment(variables: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@pytest.fixture(scope="session")
def embedded_stack(pytestconfig: pytest.Config) -> Stack:
    """The servers that this process runs; tests that crash a server take `own_nats` or `own_valkey`."""
    return pytestconfig.stash[STACK]


@pytest.fixture
def own_nats(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], Nats]]:
    """Starts a NATS that this test alone uses: to kill it, to freeze it, to start it again."""
    with contextlib.ExitStack() as servers:
        yield lambda: _start(Nats, tmp_path_factory.mktemp("nats"), servers)


@pytest.fixture
def own_valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], Valkey]]:
    """Starts a Valkey that this test alone uses: to kill it, to freeze it, to start it again."""
    with contextlib.ExitStack() as servers:
        yield lambda: _start(Valkey, tmp_path_factory.mktemp("valkey"), servers)


def _start(kind: type[AnyServer], home: Path, servers: contextlib.ExitStack) -> AnyServer:
    server = kind(home)
    servers.callback(server.stop)
    server.start()
    return server
