"""The form in which accepted results wait in the inbox: compact JSON, compressed with zstd.

Only the platform writes and reads it, so it holds checked values: database ids instead of keys, packed
vectors instead of number lists. Bodies written by an older version must stay readable: `VERSION` changes
with the form.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
import zstandard

from ami.ml.results import FoundClassification, FoundDetection, ImageResult
from ami.taskqueue import DeliveryRef

VERSION = 1
_LEVEL = 1


@dataclass(frozen=True, slots=True)
class AcceptedItem:
    """One accepted result and the delivery that it settles once it is saved, if there was one."""

    result: ImageResult
    delivery: DeliveryRef | None


def pack_item(item: AcceptedItem) -> bytes:
    """One item as JSON bytes."""
    result = item.result
    return orjson.dumps(
        [
            result.image_id,
            result.detector_id,
            _pack_delivery(item.delivery),
            [_pack_detection(detection) for detection in result.detections],
        ]
    )


def _pack_delivery(ref: DeliveryRef | None) -> list[int] | None:
    if ref is None:
        return None
    return [
        ref.job_id,
        ref.epoch,
        ref.delivered,
        ref.stream_seq,
        ref.consumer_seq,
        ref.timestamp_ns,
        ref.pending,
    ]


def join_items(items: Sequence[bytes]) -> bytes:
    """A whole body from packed items, compressed."""
    return zstandard.compress(b'{"v":%d,"items":[%b]}' % (VERSION, b",".join(items)), _LEVEL)


def unpack_body(body: bytes | memoryview) -> list[AcceptedItem]:
    """The items of a body. Raises ValueError for a version that this code does not know."""
    document = orjson.loads(zstandard.decompress(bytes(body)))
    if document["v"] != VERSION:
        raise ValueError(f"Inbox body of version {document['v']}; this code reads version {VERSION}.")
    return [_unpack_item(item) for item in document["items"]]


def _pack_detection(detection: FoundDetection) -> list[Any]:
    return [
        detection.algorithm_id,
        detection.box,
        _epoch(detection.detected_at),
        detection.path,
        [
            [
                name.algorithm_id,
                name.category_map_id,
                name.label,
                name.rank,
                name.score,
                name.terminal,
                _epoch(name.timestamp),
                b64encode(name.scores).decode("ascii"),
                b64encode(name.logits).decode("ascii"),
            ]
            for name in detection.classifications
        ],
    ]


def _epoch(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _unpack_item(item: list[Any]) -> AcceptedItem:
    image_id, detector_id, ref, detections = item
    return AcceptedItem(
        ImageResult(image_id, detector_id, tuple(_unpack_detection(detection) for detection in detections)),
        DeliveryRef(*ref) if ref else None,
    )


def _unpack_detection(packed: list[Any]) -> FoundDetection:
    algorithm_id, box, detected_at, path, names = packed
    return FoundDetection(
        algorithm_id,
        (box[0], box[1], box[2], box[3]),
        _moment(detected_at),
        path,
        tuple(
            FoundClassification(
                name[0],
                name[1],
                name[2],
                name[3],
                name[4],
                name[5],
                _moment(name[6]),
                b64decode(name[7]),
                b64decode(name[8]),
            )
            for name in names
        ),
    )
