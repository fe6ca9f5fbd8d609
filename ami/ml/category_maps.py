"""Category maps: what the positions of a score vector mean. The same map is stored once."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from hashlib import sha256
from typing import Any, TypeVar

import orjson

from ami.base.database import execute
from ami.base.errors import InvalidInput
from ami.ml.models import AlgorithmCategoryMap
from ami.ml.schemas import AlgorithmCategoryMapResponse
from ami.ml.schemas.base import MAX_NAME

_K = TypeVar("_K", bound=Hashable)


def labels_of(announced: AlgorithmCategoryMapResponse) -> list[str]:
    """The labels in the order of the scores: as given, else from `data`, by its `index` where it has one.

    Raises InvalidInput where labels and data disagree in number (scores would get wrong names), and for a
    label in `data` that is longer than a name may be.
    """
    if announced.labels and announced.data and len(announced.labels) != len(announced.data):
        raise InvalidInput(
            f"A category map has {len(announced.labels)} labels, but {len(announced.data)} items in its data."
        )
    if announced.labels:
        return list(announced.labels)
    entries = enumerate(announced.data)
    ordered = sorted(entries, key=lambda entry: _index(entry[1], entry[0]))
    labels = [str(item.get("label", "")) for _, item in ordered]
    if any(len(label) > MAX_NAME for label in labels):
        raise InvalidInput(f"A label of a category map is longer than {MAX_NAME} characters.")
    return labels


def _index(item: dict[str, Any], position: int) -> int:
    index = item.get("index")
    return index if isinstance(index, int) else position


def hash_of(labels: list[str], data: list[dict[str, Any]]) -> str:
    """SHA-256 of labels and data, whatever the order of keys; the same in every process."""
    return sha256(orjson.dumps([labels, data], option=orjson.OPT_SORT_KEYS)).hexdigest()


def store_category_maps(announced: Mapping[_K, AlgorithmCategoryMapResponse]) -> dict[_K, int]:
    """The id of each announced map; a map with the same labels and data is stored once.

    Call it inside a transaction: its locks, taken in the order of the hashes, hold until the commit.
    """
    labels = {key: labels_of(category_map) for key, category_map in announced.items()}
    hashes = {key: hash_of(labels[key], announced[key].data) for key in announced}
    for digest in sorted(set(hashes.values())):
        execute("SELECT pg_advisory_xact_lock(%s)", [int(digest[:15], 16)])
    same = AlgorithmCategoryMap.objects.filter(labels_hash__in=set(hashes.values()))
    stored = dict(same.values_list("labels_hash", "pk"))
    for key, digest in hashes.items():
        if digest not in stored:
            stored[digest] = _create(announced[key], labels[key], digest).pk
    return {key: stored[digest] for key, digest in hashes.items()}


def _create(announced: AlgorithmCategoryMapResponse, labels: list[str], digest: str) -> AlgorithmCategoryMap:
    return AlgorithmCategoryMap.objects.create(
        labels=labels,
        data=announced.data,
        labels_hash=digest,
        version=announced.version or "",
        description=announced.description or "",
        uri=announced.uri or "",
    )
