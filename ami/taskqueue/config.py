"""The typed settings of the queue layer; the one module here that may read Django's settings."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import urlsplit

from django.conf import settings


@dataclass(frozen=True, slots=True)
class QueueConfig:
    """Everything the queue layer needs to know; two equal configurations share one connection per process."""

    url: str = field(repr=False)  # may hold credentials; several servers are separated by commas
    operation_timeout: float = 1.0  # seconds for one call, connecting included
    lease_seconds: float = 300.0  # how long a reserved message stays invisible to others
    max_ack_pending: int = 10_000  # messages of one job that may be leased at the same time
    replicas: int = 1
    publish_window: int = 2_000  # messages sent and not yet confirmed
    duplicate_window_seconds: float = 120.0  # how long a message id is remembered
    max_stream_bytes: int = -1  # -1: no limit
    breaker_open_seconds: float = 1.0  # how long calls fail at once before one may probe

    def __post_init__(self) -> None:
        """Refuse values that would only fail later and far away."""
        positive = (
            "operation_timeout",
            "lease_seconds",
            "max_ack_pending",
            "replicas",
            "publish_window",
            "duplicate_window_seconds",
            "breaker_open_seconds",
        )
        for name in positive:
            if getattr(self, name) <= 0:
                raise ValueError(f"The queue setting {name} must be greater than zero.")
        if not self.servers:
            raise ValueError("The queue needs the URL of at least one NATS server (NATS_URL).")

    @property
    def servers(self) -> list[str]:
        """The server URLs one by one, with their credentials."""
        return [part.strip() for part in self.url.split(",") if part.strip()]

    @property
    def safe_url(self) -> str:
        """The server addresses for people and logs, without credentials."""
        return ", ".join(_without_credentials(server) for server in self.servers)


def _without_credentials(server: str) -> str:
    split = urlsplit(server if "://" in server else f"nats://{server}")
    return f"{split.scheme}://{split.netloc.rpartition('@')[2]}"


def from_settings() -> QueueConfig:
    """Build the configuration from the NATS_* settings."""
    return QueueConfig(
        url=settings.NATS_URL,
        operation_timeout=float(settings.NATS_OPERATION_TIMEOUT),
        lease_seconds=float(settings.NATS_TASK_TTR),
        max_ack_pending=int(settings.NATS_MAX_ACK_PENDING),
        replicas=int(settings.NATS_REPLICAS),
        publish_window=int(settings.NATS_PUBLISH_WINDOW),
    )


def redis_url_from_settings() -> str:
    """The Redis that holds the pending sets (never the evicting cache)."""
    return str(settings.REDIS_URL)
