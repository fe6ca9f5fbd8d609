"""All three servers as one."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest
import redis
from environ import Env

from ami.embedded.errors import EmbeddedError
from ami.embedded.postgres import Postgres
from ami.embedded.stack import Stack
from ami.embedded.tests.observe import family, nats_request, wait_until_gone
from ami.embedded.valkey import Valkey

pytestmark = pytest.mark.integration

ELSEWHERE = {
    "DATABASE_URL": "postgresql://elsewhere/ami",
    "REDIS_URL": "redis://elsewhere",
    "NATS_URL": "nats://elsewhere",
}


def test_all_servers_answer_at_the_addresses_in_the_environment(used_folder: Path) -> None:
    with Stack(used_folder, environ={}) as stack:
        addresses = stack.environment()
        with psycopg.connect(addresses["DATABASE_URL"]) as connection:
            assert connection.execute("SELECT current_database(), 'ÖRE' ILIKE 'öre'").fetchone() == (
                "ami",
                True,
            )
        for name in ("REDIS_URL", "CELERY_BROKER_URL"):
            with redis.Redis.from_url(addresses[name]) as client:
                assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        assert nats_request(addresses["NATS_URL"], "$JS.API.INFO")["streams"] == 0
        processes = [process for server in stack.servers for process in family(server.pid)]
    assert not any(server.running for server in stack.servers)
    wait_until_gone(processes)


def test_the_database_address_means_the_same_to_django_and_to_libpq(folder: Path) -> None:
    stack = Stack(folder, environ={})
    config = Env.db_url_config(stack.environment()["DATABASE_URL"])
    assert config["ENGINE"] == "django.db.backends.postgresql"
    assert config["OPTIONS"]["host"] == str(folder / "socket")
    assert (config["USER"], config["NAME"], config["HOST"]) == ("ami", "ami", "")


def test_a_server_whose_address_is_given_is_not_started(folder: Path) -> None:
    with Stack(folder, environ=ELSEWHERE) as stack:
        assert stack.servers == []
        assert stack.environment() == ELSEWHERE
        with pytest.raises(EmbeddedError, match="NATS_URL"):
            _ = stack.nats
    with Stack(
        folder, environ={**ELSEWHERE, "REDIS_URL": "", "CELERY_BROKER_URL": "amqp://elsewhere"}
    ) as stack:
        assert [type(server) for server in stack.servers] == [Valkey]
        assert stack.environment()["REDIS_URL"] == stack.valkey.url
        assert stack.environment()["CELERY_BROKER_URL"] == "amqp://elsewhere"


def test_a_second_stack_on_the_same_folder_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ami.embedded.folders.LOCK_SECONDS", 0.05)
    with (
        Stack(folder, environ=ELSEWHERE),
        pytest.raises(EmbeddedError, match="already running, started by process"),
    ):
        Stack(folder, environ=ELSEWHERE).start()
    with Stack(folder, environ=ELSEWHERE):
        pass  # it is free again


def test_data_stays_in_the_folder_for_the_next_stack(used_folder: Path) -> None:
    servers = [Postgres, Valkey]
    with Stack(used_folder, servers=servers, environ={}) as stack:
        with psycopg.connect(stack.postgres.url) as connection:
            connection.execute("CREATE TABLE butterfly AS SELECT 7 AS wings")
        with redis.Redis.from_url(stack.valkey.url) as client:
            client.set("moth", "7")
    with Stack(used_folder, servers=servers, environ={}) as stack:
        with psycopg.connect(stack.postgres.url) as connection:
            assert connection.execute("SELECT wings FROM butterfly").fetchone() == (7,)
        with redis.Redis.from_url(stack.valkey.url) as client:
            assert client.get("moth") == b"7"


def test_if_one_server_fails_to_start_the_others_are_stopped(folder: Path) -> None:
    stack = Stack(folder, servers=[Valkey, Postgres], environ={"AMI_POSTGRES": "/bin/false"})
    with pytest.raises(EmbeddedError, match="/bin/false"):
        stack.start()
    assert not any(server.running for server in stack.servers)


def test_data_of_another_postgres_version_is_refused_with_advice(folder: Path) -> None:
    (folder / "postgres").mkdir()
    (folder / "postgres" / "PG_VERSION").write_text("12\n")
    with pytest.raises(EmbeddedError, match="made by PostgreSQL 12"):
        Stack(folder, servers=[Postgres], environ={}).start()


def test_a_folder_that_cannot_hold_data_is_named(folder: Path) -> None:
    (folder / "file").touch()
    with pytest.raises(EmbeddedError, match="name another folder"):
        Stack(folder / "file", environ=ELSEWHERE).start()


def test_postgres_can_be_reached_below_a_path_too_long_for_a_socket(folder: Path) -> None:
    deep = folder / ("long" * 20) / "data"
    with (
        Stack(deep, servers=[Postgres], environ={}) as stack,
        psycopg.connect(stack.postgres.url) as connection,
    ):
        assert connection.execute("SELECT 1").fetchone() == (1,)
        sockets = Path(connection.info.host)
        assert deep not in sockets.parents
    assert not sockets.exists()
