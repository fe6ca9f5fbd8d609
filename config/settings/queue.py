"""The queue layer: leases, attempts, publishing."""

from __future__ import annotations

from config import declare

NATS_OPERATION_TIMEOUT = declare.decimal(
    "NATS_OPERATION_TIMEOUT",
    1.0,
    "Seconds that one queue call may take, connecting included.",
    minimum=0.05,
    maximum=10,
)
NATS_TASK_TTR = declare.decimal(
    "NATS_TASK_TTR",
    300.0,
    "Seconds that a worker holds a reserved image before another may get it (the lease).",
    minimum=0.5,
)
NATS_MAX_DELIVER = declare.integer(
    "NATS_MAX_DELIVER", 3, "Attempts that an image gets before it is failed.", minimum=1, maximum=100
)
NATS_MAX_ACK_PENDING = declare.integer(
    "NATS_MAX_ACK_PENDING", 10_000, "Images of one job that may be out with workers at once.", minimum=1
)
NATS_REPLICAS = declare.integer(
    "NATS_REPLICAS", 1, "Copies of each stream in a NATS cluster.", minimum=1, maximum=5
)
NATS_PUBLISH_WINDOW = declare.integer(
    "NATS_PUBLISH_WINDOW", 2_000, "Messages published before waiting for confirmations.", minimum=1
)
LEASE_KEYS = declare.strings(
    "LEASE_KEYS",
    [],
    "Keys that sign lease tokens: the first signs, all verify. Empty: derived from DJANGO_SECRET_KEY.",
    secret=True,
)
