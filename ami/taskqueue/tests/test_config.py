"""The configuration checks itself and keeps its credentials to itself."""

from __future__ import annotations

import pytest

from ami.taskqueue import QueueConfig


def test_credentials_appear_in_no_representation() -> None:
    config = QueueConfig(url="nats://user:secret@one:4222, tls://token@two:4222")
    assert config.servers == ["nats://user:secret@one:4222", "tls://token@two:4222"]
    assert config.safe_url == "nats://one:4222, tls://two:4222"
    assert "secret" not in repr(config)
    assert "token" not in repr(config)


@pytest.mark.parametrize(
    "wrong", [{"operation_timeout": 0}, {"lease_seconds": -1}, {"publish_window": 0}, {"url": " , "}]
)
def test_a_setting_that_cannot_work_is_refused_at_once(wrong: dict[str, float | str]) -> None:
    with pytest.raises(ValueError, match="queue"):
        QueueConfig(**{"url": "nats://localhost:4222", **wrong})  # type: ignore[arg-type]  # wrong on purpose
