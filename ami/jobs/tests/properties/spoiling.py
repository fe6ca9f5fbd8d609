"""Makes accepted results bad where they lie in the inbox, so that saving them cannot succeed."""

from __future__ import annotations

from dataclasses import replace

from ami.jobs.lifecycle.inbox_body import AcceptedItem, join_items, pack_item, unpack_body
from ami.jobs.models import InboxEntry

NO_SUCH_ALGORITHM = 987_654


def spoil_first_item(entry: InboxEntry) -> int:
    """Have the first result of a row name an algorithm that does not exist; returns its image."""
    first, *others = unpack_body(entry.body)
    InboxEntry.objects.filter(pk=entry.pk).update(
        body=join_items([pack_item(item) for item in (_spoiled(first), *others)])
    )
    return first.result.image_id


def spoil_body(entry: InboxEntry) -> None:
    """Have a row hold something that is no body."""
    InboxEntry.objects.filter(pk=entry.pk).update(body=b"not zstd")


def is_readable(entry: InboxEntry) -> bool:
    """Whether nobody spoiled the whole row yet."""
    return bytes(entry.body) != b"not zstd"


def _spoiled(item: AcceptedItem) -> AcceptedItem:
    boxes = tuple(replace(box, algorithm_id=NO_SUCH_ALGORITHM) for box in item.result.detections)
    return replace(item, result=replace(item.result, detector_id=NO_SUCH_ALGORITHM, detections=boxes))
