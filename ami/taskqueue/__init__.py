"""The task queue: NATS JetStream streams of jobs, lease tokens, and the Redis pending sets.

A small library. It knows no Django model and no other part of AMI but `ami.base`.
"""

from ami.taskqueue.config import QueueConfig, from_settings
from ami.taskqueue.errors import (
    InvalidLease,
    PendingStateUnavailable,
    QueueError,
    QueueMissing,
    QueueUnavailable,
)
from ami.taskqueue.event_loop import shutdown
from ami.taskqueue.inspection import StreamSnapshot
from ami.taskqueue.leases import Lease, LeaseSigner
from ami.taskqueue.messages import ReservedMessage, TaskMessage
from ami.taskqueue.names import DeliveryRef, parse_ack_subject
from ami.taskqueue.open_leases import OpenLeases
from ami.taskqueue.pace import Pace
from ami.taskqueue.pending import (
    AsyncJobStateManager,
    PendingSnapshot,
    PendingUpdate,
    list_job_ids_with_state,
)
from ami.taskqueue.queue import TaskQueueManager
from ami.taskqueue.reading import StandingTask
from ami.taskqueue.reserving import ReserveRequest
from ami.taskqueue.settling import Ack, Action, InProgress, Nak
from ami.taskqueue.streams import ConsumerState
from ami.taskqueue.wakeups import Waiter, WakeUps, wakeups

__all__ = [
    "Ack",
    "Action",
    "AsyncJobStateManager",
    "ConsumerState",
    "DeliveryRef",
    "InProgress",
    "InvalidLease",
    "Lease",
    "LeaseSigner",
    "Nak",
    "OpenLeases",
    "Pace",
    "PendingSnapshot",
    "PendingStateUnavailable",
    "PendingUpdate",
    "QueueConfig",
    "QueueError",
    "QueueMissing",
    "QueueUnavailable",
    "ReserveRequest",
    "ReservedMessage",
    "StandingTask",
    "StreamSnapshot",
    "TaskMessage",
    "TaskQueueManager",
    "Waiter",
    "WakeUps",
    "from_settings",
    "list_job_ids_with_state",
    "parse_ack_subject",
    "shutdown",
    "wakeups",
]
