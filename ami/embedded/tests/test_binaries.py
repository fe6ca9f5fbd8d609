"""Where the servers' programs are looked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from ami.embedded import binaries
from ami.embedded.errors import EmbeddedError


@pytest.fixture
def no_wheels(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_in_wheel", "_in_scripts_of"):
        monkeypatch.setattr(binaries, name, lambda *_: [])


def make_program(path: Path) -> Path:
    path.touch(mode=0o755)
    return path


def test_the_environment_goes_before_the_wheel(tmp_path: Path) -> None:
    program = make_program(tmp_path / "my-valkey")
    assert binaries.find_valkey({"AMI_VALKEY": str(program)}) == program


def test_a_wrong_path_in_the_environment_is_named() -> None:
    with pytest.raises(EmbeddedError, match="AMI_NATS_SERVER names /nowhere"):
        binaries.find_nats({"AMI_NATS_SERVER": "/nowhere"})


@pytest.mark.parametrize("find", [binaries.find_postgres, binaries.find_valkey, binaries.find_nats])
def test_the_wheels_of_the_development_requirements_are_found(find: object) -> None:
    assert callable(find)
    assert "site-packages" in str(find({})) or "/bin/nats-server" in str(find({}))


@pytest.mark.usefixtures("no_wheels")
def test_a_link_on_path_is_not_followed(tmp_path: Path) -> None:
    target = make_program(tmp_path / "redis-check-rdb")
    link = tmp_path / "redis-server"
    link.symlink_to(target)
    assert binaries.find_valkey({"PATH": str(tmp_path)}) == link


@pytest.mark.usefixtures("no_wheels")
def test_a_missing_server_is_explained_in_one_sentence_of_advice() -> None:
    with pytest.raises(EmbeddedError) as caught:
        binaries.find_nats({"PATH": "/nowhere"})
    assert str(caught.value).startswith("NATS was not found. Install the embedded servers")
    assert "AMI_NATS_SERVER" in str(caught.value)


@pytest.mark.usefixtures("no_wheels")
def test_a_postgres_without_initdb_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "glob", lambda *_: iter(()))
    make_program(tmp_path / "postgres")
    with pytest.raises(EmbeddedError, match="PostgreSQL was not found"):
        binaries.find_postgres({"PATH": str(tmp_path)})
    make_program(tmp_path / "initdb")
    assert binaries.find_postgres({"PATH": str(tmp_path)}) == tmp_path / "postgres"
