"""Postgres refuses to run as root; these are the ways around that."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from ami.embedded import account
from ami.embedded.account import find_account
from ami.embedded.binaries import find_postgres
from ami.embedded.errors import EmbeddedError
from ami.embedded.folders import temporary_folder
from ami.embedded.postgres import Postgres
from ami.embedded.stack import Stack

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root needs another account"),
]


@pytest.fixture
def closed_folder() -> Iterator[Path]:
    """A folder below one that only root can enter, as /root is."""
    with temporary_folder() as folder:
        folder.chmod(0o700)
        inner = folder / "inner"
        inner.mkdir()
        yield inner


def test_root_runs_postgres_as_nobody_where_nobody_can_reach_it(used_folder: Path) -> None:
    if not find_account(find_postgres(), used_folder)[0].uid:
        pytest.skip("the virtual environment lies where `nobody` cannot reach it")
    with Stack(used_folder, servers=[Postgres], environ={}) as stack:
        assert psutil.Process(stack.postgres.pid).username() == "nobody"
        # Trust is for whoever can enter this folder, so nobody else may.
        assert stat.S_IMODE((used_folder / "socket").stat().st_mode) == 0o700


def test_below_a_folder_of_roots_own_a_user_namespace_helps_and_nothing_is_opened(
    closed_folder: Path,
) -> None:
    try:
        find_account(find_postgres(), closed_folder)
    except EmbeddedError:
        pytest.skip("user namespaces are not allowed here")
    with Stack(closed_folder, servers=[Postgres], environ={}) as stack:
        with psycopg.connect(stack.postgres.url) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
        assert (closed_folder / "postgres").stat().st_uid == 0
    assert stat.S_IMODE(closed_folder.parent.stat().st_mode) == 0o700


def test_without_any_way_the_advice_names_them_all(
    closed_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(account, "_try", lambda *_: (False, "Permission denied"))
    with pytest.raises(EmbeddedError, match="refuses to run as root") as caught:
        find_account(Path("/usr/bin/postgres"), closed_folder)
    for advice in ("ordinary user", "nobody", "DATABASE_URL"):
        assert advice in str(caught.value)
