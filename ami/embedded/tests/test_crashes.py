"""Servers that are killed, frozen and started again keep their address and what they had confirmed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
import redis

from ami.embedded.errors import EmbeddedError
from ami.embedded.nats import Nats
from ami.embedded.postgres import Postgres
from ami.embedded.server import Server
from ami.embedded.stack import Stack
from ami.embedded.tests.observe import family, nats_request, wait_until_gone
from ami.embedded.valkey import Valkey

pytestmark = pytest.mark.integration

ENDINGS: list[Callable[[Server], None]] = [Server.kill, Server.stop]


@pytest.fixture(scope="module")
def postgres(used_folder: Path) -> Iterator[Postgres]:
    with Stack(used_folder, servers=[Postgres], environ={}) as stack:
        yield stack.postgres


@pytest.mark.parametrize("end", ENDINGS)
def test_valkey_comes_back_with_its_data(
    own_valkey: Callable[[], Valkey], end: Callable[[Server], None]
) -> None:
    valkey = own_valkey()
    url = valkey.url
    with redis.Redis.from_url(url) as client:
        client.set("moth", "7")
    end(valkey)
    assert not valkey.running
    valkey.start()
    assert valkey.url == url
    with redis.Redis.from_url(url) as client:
        assert client.get("moth") == b"7"


@pytest.mark.parametrize("end", ENDINGS)
def test_nats_comes_back_with_its_streams(
    own_nats: Callable[[], Nats], end: Callable[[Server], None]
) -> None:
    nats = own_nats()
    url = nats.url
    stream = {"name": "MOTHS", "subjects": ["moths"], "storage": "file"}
    nats_request(url, "$JS.API.STREAM.CREATE.MOTHS", stream)
    assert nats_request(url, "moths", {"wings": 4})["seq"] == 1
    end(nats)
    assert not nats.running
    nats.start()
    assert nats.url == url
    assert nats_request(url, "$JS.API.STREAM.INFO.MOTHS")["state"]["messages"] == 1


@pytest.mark.parametrize("end", ENDINGS)
def test_postgres_comes_back_with_what_was_committed(
    postgres: Postgres, end: Callable[[Server], None]
) -> None:
    with psycopg.connect(postgres.url) as connection:
        connection.execute("DROP TABLE IF EXISTS moth")
        connection.execute("CREATE TABLE moth AS SELECT generate_series(1, 1000)")
    backends = family(postgres.pid)
    end(postgres)
    wait_until_gone(backends)
    postgres.start()
    with psycopg.connect(postgres.url) as connection:
        assert connection.execute("SELECT count(*) FROM moth").fetchone() == (1000,)


def test_a_paused_server_keeps_its_connections_and_goes_on(own_valkey: Callable[[], Valkey]) -> None:
    valkey = own_valkey()
    with redis.Redis.from_url(valkey.url, socket_timeout=0.2, retry=None) as client:
        client.ping()
        number = client.client_id()
        valkey.pause()
        assert valkey.running
        with pytest.raises(redis.TimeoutError):
            client.ping()
        valkey.resume()
        assert client.ping()
        valkey.pause()
        valkey.resume()
        assert client.client_id() >= number


def test_a_paused_postgres_answers_on_no_connection(postgres: Postgres) -> None:
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        postgres.pause()
        answers: list[object] = []
        question = threading.Thread(target=lambda: answers.append(connection.execute("SELECT 1").fetchone()))
        question.start()
        question.join(0.2)
        assert not answers
        postgres.resume()
        question.join(10)
        assert answers == [(1,)]


def test_a_paused_server_can_be_stopped_and_killed(own_nats: Callable[[], Nats]) -> None:
    nats = own_nats()
    nats.pause()
    nats.stop()
    assert not nats.running
    nats.start()
    nats.pause()
    nats.kill()
    assert not nats.running


def test_a_server_outlives_the_thread_that_started_it(own_nats: Callable[[], Nats]) -> None:
    started: list[Nats] = []
    starter = threading.Thread(target=lambda: started.append(own_nats()))
    starter.start()
    starter.join()
    assert nats_request(started[0].url, "$JS.API.INFO")["streams"] == 0


def test_a_server_that_does_not_run_says_so(own_nats: Callable[[], Nats]) -> None:
    nats = own_nats()
    nats.stop()
    nats.stop()
    with pytest.raises(EmbeddedError, match="NATS is not running"):
        nats.pause()


def test_a_port_that_somebody_took_meanwhile_is_named(own_nats: Callable[[], Nats]) -> None:
    first = own_nats()
    first.stop()
    second = Nats(first.home.with_name("second"))
    second.home.mkdir()
    second._port = first._port
    second.start()
    try:
        with pytest.raises(EmbeddedError, match="address already in use"):
            first.start()
    finally:
        second.stop()
