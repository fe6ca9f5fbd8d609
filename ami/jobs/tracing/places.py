"""Where an unfinished image is. Pure: facts in, a place out."""

from __future__ import annotations

from enum import StrEnum

from ami.jobs.states import TaskState
from ami.jobs.tracing.groups import Group
from ami.jobs.tracing.queues import QueueFacts


class Place(StrEnum):
    """The places, in the order in which an image passes them."""

    TO_PUSH = "waits to be pushed"
    """Of jobs without a queue."""
    NOT_PUBLISHED = "not published"
    MISSING = "missing from the queue"
    UNSEEN = "published"
    """NATS does not say whether the message is there."""
    IN_QUEUE = "waiting in the queue"
    LEASED = "leased"
    LEASE_OVER = "lease ran out"
    PAUSED = "waits after a failed attempt"
    ACCEPTED = "accepted"
    BEING_SAVED = "being saved"
    UNSAVABLE = "accepted, but lost"
    PROCESSED = "processed"
    FAILED = "failed"
    CANCELLED = "cancelled"


def place_of(group: Group, queue: QueueFacts) -> Place:
    """The place of every image of this group."""
    if group.status == TaskState.RECEIVED:
        if not group.row_present:
            return Place.UNSAVABLE
        return Place.BEING_SAVED if group.saving else Place.ACCEPTED
    if group.lease == "running":
        return Place.LEASED
    if group.pausing:
        return Place.PAUSED
    if queue.unused:
        return Place.LEASE_OVER if group.lease == "over" else Place.TO_PUSH
    if not group.published:
        return Place.NOT_PUBLISHED
    if is_missing(group, queue):
        return Place.MISSING
    if group.lease == "over":
        return Place.LEASE_OVER
    return Place.UNSEEN if queue.away and queue.standing is None else Place.IN_QUEUE


def is_missing(group: Group, queue: QueueFacts) -> bool:
    """Whether the group's messages were published and are not in the queue any more."""
    if group.status != TaskState.PENDING or not group.published or queue.unused:
        return False
    if queue.standing is not None:
        return not group.in_queue
    return not queue.away and not queue.is_whole
