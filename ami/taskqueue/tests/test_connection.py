"""One connection per loop, made once, given up soon, healed by itself, and silent about its credentials."""

from __future__ import annotations

import asyncio
import socket
from statistics import median
from typing import Any

import pytest
from structlog.testing import capture_logs

from ami.embedded.nats import Nats
from ami.taskqueue import QueueConfig, QueueUnavailable, TaskQueueManager, api, event_loop
from ami.taskqueue.connection import ConnectionPool
from ami.taskqueue.errors import ConnectionLost
from ami.taskqueue.retries import retry_on_connection_error
from ami.taskqueue.tests.waiting import freeze, stopwatch, wait_for

pytestmark = pytest.mark.integration


def _refused_url() -> str:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"nats://user:secret@127.0.0.1:{taken.getsockname()[1]}"


def test_concurrent_first_calls_share_one_connect(config: QueueConfig) -> None:
    async def scenario() -> tuple[set[int], set[int | None]]:
        pool = ConnectionPool(config)
        connections = await asyncio.gather(*(pool.get_connection() for _ in range(20)))
        clients = {connection.client.client_id for connection in connections}
        await pool.reset_connection()
        return {id(connection) for connection in connections}, clients

    connections, clients = asyncio.run(scenario())
    assert len(connections) == len(clients) == 1


def test_each_loop_has_a_connection_of_its_own_and_a_closed_loop_is_forgotten(config: QueueConfig) -> None:
    pool = ConnectionPool(config)

    async def client_id() -> int | None:
        connection = await pool.get_connection()
        known = connection.client.client_id
        await connection.close()
        return known

    assert asyncio.run(client_id()) != asyncio.run(client_id())
    assert len(pool._connections) == 1


def test_after_a_reset_the_next_call_connects_anew(config: QueueConfig) -> None:
    async def scenario() -> bool:
        pool = ConnectionPool(config)
        first = await pool.get_connection()
        await pool.reset_connection()
        second = await pool.get_connection()
        await pool.reset_connection()
        return first is not second and first.client.is_closed

    assert asyncio.run(scenario())


def test_the_client_tells_the_server_who_it_is(config: QueueConfig) -> None:
    async def name() -> str:
        pool = ConnectionPool(config)
        connection = await pool.get_connection()
        await pool.reset_connection()
        return str(connection.client.options["name"])

    host, _, pid = asyncio.run(name()).rpartition(":")
    assert host == socket.gethostname()
    assert pid.isdigit()


def test_a_refused_port_fails_within_the_operation_timeout() -> None:
    queue = TaskQueueManager(QueueConfig(url=_refused_url(), operation_timeout=0.5))

    def call() -> None:
        with pytest.raises(QueueUnavailable):
            queue.exists(1, 1)

    assert stopwatch(call) < 0.7
    assert median(stopwatch(call) for _ in range(5)) < 0.005
    event_loop.shutdown()  # or it would go on trying


def test_a_server_that_comes_up_later_is_found_without_a_restart(lone_nats: Nats) -> None:
    lone_nats.stop()
    queue = TaskQueueManager(QueueConfig(url=lone_nats.url, operation_timeout=0.3, breaker_open_seconds=60))
    with pytest.raises(QueueUnavailable):
        queue.exists(1, 1)
    lone_nats.start()
    wait_for(lambda: not queue.is_unavailable, seconds=2.0)
    assert queue.exists(1, 1) is False


def test_a_connection_lost_and_found_is_the_same_connection(lone_nats: Nats) -> None:
    async def scenario() -> bool:
        pool = ConnectionPool(QueueConfig(url=lone_nats.url))
        loop = asyncio.get_running_loop()
        first = await pool.get_connection()
        await asyncio.to_thread(lone_nats.kill)
        await asyncio.to_thread(lone_nats.start)
        second = await retry_on_connection_error(pool.get_connection, until=loop.time() + 5.0)
        async with second.limit(1.0):
            await second.barrier()
        await pool.reset_connection()
        return first is second

    assert asyncio.run(scenario())


def test_a_lost_connection_ends_a_waiting_operation_at_once(lone_nats: Nats) -> None:
    async def scenario() -> None:
        pool = ConnectionPool(QueueConfig(url=lone_nats.url))
        connection = await pool.get_connection()
        try:
            async with connection.limit(30.0):
                lone_nats.kill()
                await asyncio.Event().wait()
        finally:
            await pool.reset_connection()

    def call() -> None:
        with pytest.raises(ConnectionLost):
            asyncio.run(scenario())

    assert stopwatch(call) < 2.0


def test_a_reconnection_that_loses_its_cancellation_ends_all_the_same(
    lone_nats: Nats, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> bool:
        pool = ConnectionPool(QueueConfig(url=lone_nats.url))
        connection = await pool.get_connection()
        lost: list[BaseException] = []

        async def deaf() -> None:
            while True:
                try:
                    await asyncio.Event().wait()
                except asyncio.CancelledError as error:
                    lost.append(error)
                    if len(lost) > 2:
                        return

        monkeypatch.setattr(connection.client, "_attempt_reconnect", deaf)
        lone_nats.kill()
        while connection.client._reconnection_task is None:
            await asyncio.sleep(0.005)
        await pool.reset_connection()
        return bool(connection.client._reconnection_task.done())

    assert asyncio.run(asyncio.wait_for(scenario(), 10.0))


def test_a_client_that_never_comes_back_is_replaced(lone_nats: Nats, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> bool:
        pool = ConnectionPool(QueueConfig(url=lone_nats.url))
        stuck = await pool.get_connection()
        stuck.client._reconnection_task = None
        monkeypatch.setattr(stuck.client, "_attempt_reconnect", lambda: asyncio.sleep(0))  # it died silently
        lone_nats.kill()
        lone_nats.start()
        while stuck.client.is_connected:
            await asyncio.sleep(0.005)
        monkeypatch.setattr("ami.taskqueue.client._STUCK_SECONDS", 0.0)
        fresh = await pool.get_connection()
        await pool.reset_connection()
        return fresh is not stuck

    assert asyncio.run(scenario())


def test_a_wrong_password_is_reported_without_the_password(lone_nats: Nats) -> None:
    url = lone_nats.url.replace("://ami:", "://ami:wrong-")
    queue = TaskQueueManager(QueueConfig(url=url, operation_timeout=0.3))
    with capture_logs() as logs, pytest.raises(QueueUnavailable) as failure:
        queue.exists(1, 1)
    told = repr(logs) + repr(failure.value) + repr(failure.value.context) + repr(failure.value.__cause__)
    assert "Authorization" in told
    assert "wrong-" not in told


def test_the_life_of_a_connection_is_logged_without_credentials(lone_nats: Nats) -> None:
    password = lone_nats.url.split(":")[2].split("@")[0]
    with capture_logs() as logs:
        queue = TaskQueueManager(QueueConfig(url=lone_nats.url))
        queue.exists(1, 1)
        lone_nats.kill()
        wait_for(lambda: any(entry["event"] == "taskqueue.disconnected" for entry in logs))
        lone_nats.start()
        wait_for(lambda: [entry["event"] for entry in logs].count("taskqueue.connected") == 2)
    assert len(logs) < 10
    assert password not in repr(logs)


def test_a_barrier_is_sent_after_all_that_it_confirms(config: QueueConfig) -> None:
    async def scenario() -> bytes:
        pool = ConnectionPool(config)
        connection = await pool.get_connection()
        transport: Any = connection.client._transport
        written: list[bytes] = []
        write, writelines = transport.write, transport.writelines

        def note_and_write(data: bytes) -> None:
            written.append(bytes(data))
            write(data)

        def note_and_write_lines(lines: list[bytes]) -> None:
            written.extend(map(bytes, lines))
            writelines(lines)

        transport.write, transport.writelines = note_and_write, note_and_write_lines
        async with connection.limit(5.0):
            for _ in range(100):
                await connection.client.publish("job.0.nobody", b"x")
            await connection.barrier()
        await pool.reset_connection()
        return b"".join(written)

    written = asyncio.run(scenario())
    assert written.count(b"PUB job.0.nobody ") == 100
    assert written.rindex(b"PUB job.0.nobody ") < written.index(b"PUB _INBOX.")


@pytest.mark.parametrize("subject", [">", "job.>", "_INBOX.>"])
def test_a_barrier_does_not_mind_who_else_listens_to_everything(lone_nats: Nats, subject: str) -> None:
    async def scenario() -> None:
        config = QueueConfig(url=lone_nats.url)
        operator, ours = ConnectionPool(config), ConnectionPool(config)
        listening = await operator.get_connection()

        async def look(_: object) -> None:
            """An operator looks at what goes on and answers nothing."""

        await listening.client.subscribe(subject, cb=look)
        async with listening.limit(5.0):
            await listening.barrier()
        connection = await ours.get_connection()
        async with connection.limit(5.0):
            await connection.barrier()
        await operator.reset_connection()
        await ours.reset_connection()

    asyncio.run(scenario())


def test_a_barrier_that_is_answered_too_late_leaves_the_connection_in_order(lone_nats: Nats) -> None:
    async def scenario() -> bool:
        pool = ConnectionPool(QueueConfig(url=lone_nats.url))
        connection = await pool.get_connection()
        client_id = connection.client.client_id
        await asyncio.to_thread(freeze, lone_nats)
        with pytest.raises(QueueUnavailable):
            async with connection.limit(0.2):
                await connection.barrier()
        lone_nats.resume()
        async with connection.limit(3.0):
            await connection.barrier()
            await connection.barrier()
            await api.request(connection, "INFO")
        same = connection.client.client_id == client_id
        await pool.reset_connection()
        return same

    assert asyncio.run(scenario())
