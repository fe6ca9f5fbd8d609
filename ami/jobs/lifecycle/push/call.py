"""One request to `/process`. Runs in a thread of its own, touches no database, and never raises.

What went wrong decides what happens next: a service that is *away* is none of the images' fault; one that
*answered* with an error may have stumbled over one image of the batch; one that fell *silent* may have died
of it, or be slow.
"""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

import orjson
from django.conf import settings
from pydantic import ValidationError

from ami.base.logs import clean_text, mask
from ami.base.outgoing import (
    AddressRefused,
    Answer,
    Limits,
    NotConnected,
    OutgoingError,
    ServiceTimedOut,
    ServiceUnreachable,
    fetch,
)
from ami.jobs.lifecycle.posts import sentence_of
from ami.jobs.lifecycle.push.batches import Batch
from ami.ml.push import address_of, ask_ready
from ami.ml.schemas import PipelineResultsResponse

BUSY = frozenset({429, 502, 503, 504})
"""Said by a service that is overloaded, or by what stands before one that is gone."""

SECOND_TRY_SECONDS = (0.1, 0.5)
READY_SECONDS = 3.0
DETAIL_MAX = 500
ANSWER_MAX_BYTES = 256 * 1024 * 1024


class Trouble(Enum):
    """What kind of failure a request came to."""

    AWAY = auto()
    ANSWERED = auto()
    SILENT = auto()


@dataclass(frozen=True, slots=True)
class Failed:
    """A request without a usable answer. `permanent`: the same request would fail the same way."""

    trouble: Trouble
    text: str
    permanent: bool = False
    timed_out: bool = False


def process(
    endpoint: str, slug: str, config: Mapping[str, Any], batch: Batch, detections: list[dict[str, Any]]
) -> PipelineResultsResponse | Failed:
    """Ask a service to process a batch. Takes `PUSH_REQUEST_SECONDS`, and a few more when it fails."""
    body = orjson.dumps(
        {
            "pipeline": slug,
            "source_images": [{"id": str(image.lease.image_id), "url": image.url} for image in batch],
            "detections": detections,
            "config": dict(config),
        }
    )
    try:
        answer = _post(address_of(endpoint, "process"), body)
        if not 200 <= answer.status < 300:
            return _refused(endpoint, answer)
        return PipelineResultsResponse.model_validate(answer.json())
    except (NotConnected, AddressRefused) as error:
        return Failed(Trouble.AWAY, error.message)
    except ServiceTimedOut as error:
        return Failed(Trouble.SILENT, error.message, timed_out=True)
    except ServiceUnreachable as error:
        return Failed(Trouble.SILENT, error.message)
    except OutgoingError as error:
        return Failed(Trouble.ANSWERED, error.message, permanent=error.permanent)
    except ValidationError as error:
        return Failed(Trouble.ANSWERED, f"The answer is not as it should be: {sentence_of(error)}")


def _post(url: str, body: bytes) -> Answer:
    limits = Limits(
        total=settings.PUSH_REQUEST_SECONDS,
        read=settings.PUSH_REQUEST_SECONDS,
        max_bytes=ANSWER_MAX_BYTES,
    )
    try:
        return fetch(url, method="POST", body=body, limits=limits)
    except NotConnected:  # nobody heard it: ask once more, not all at the same moment
        time.sleep(random.uniform(*SECOND_TRY_SECONDS))  # noqa: S311 - no secret
        return fetch(url, method="POST", body=body, limits=limits)


def _refused(endpoint: str, answer: Answer) -> Failed:
    """Why the service did not do it; away if it is not ready for anything."""
    text = f"HTTP {answer.status}{_detail(answer.body)}"
    if answer.status in BUSY:
        try:
            ask_ready(endpoint, READY_SECONDS)
        except OutgoingError:
            return Failed(Trouble.AWAY, text)
        return Failed(Trouble.ANSWERED, text)
    permanent = answer.status < 500 and answer.status != 408
    return Failed(Trouble.ANSWERED, text, permanent=permanent)


def _detail(body: bytes) -> str:
    """What the answer says for people: its `detail`, as services of this kind have it."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return ""
    detail = document.get("detail") if isinstance(document, dict) else None
    if not detail:
        return ""
    words = detail if isinstance(detail, str) else orjson.dumps(detail).decode()
    return f": {clean_text(mask(words), DETAIL_MAX)}"
