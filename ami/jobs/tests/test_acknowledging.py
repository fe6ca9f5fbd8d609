"""A worker whose acknowledgements do not reach Redis goes on taking tasks when it is back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from kombu import Connection
from kombu.message import Message
from kombu.transport.redis import Channel, QoS
from redis.exceptions import RedisError

from ami.embedded.valkey import Valkey
from ami.jobs.acknowledging import keep_places

pytestmark = pytest.mark.integration

TIMES = {"socket_timeout": 0.3, "socket_connect_timeout": 0.3, "max_retries": 0}


@pytest.fixture(params=[True, False], ids=["ours", "kombu's"])
def ours(request: pytest.FixtureRequest) -> Iterator[bool]:
    """With our way of counting, and with kombu's, which shows that the test can fail."""
    before = Channel.QoS
    if request.param:
        keep_places()
    else:
        Channel.QoS = QoS
    yield request.param
    Channel.QoS = before


@pytest.mark.parametrize("settle", [Message.ack, Message.reject, Message.requeue])
def test_a_lost_acknowledgement_does_not_cost_a_place(
    own_valkey: Callable[[], Valkey], ours: bool, settle: Callable[[Message], None]
) -> None:
    valkey = own_valkey()
    with Connection(valkey.url, transport_options=TIMES) as connection:
        for number in (1, 2):
            connection.SimpleQueue("tasks").put(number)
        channel: Any = connection.channel()
        channel.basic_qos(0, 1, False)
        message = channel.basic_get("tasks", no_ack=False)
        assert not channel.qos.can_consume(), "one place, and it is taken"
        valkey.pause()
        with pytest.raises((RedisError, OSError)):
            settle(message)
        valkey.resume()
        assert channel.qos.can_consume() is ours
