"""The inbox row in a saver's hands: claim it, note what is being done to it, close it.

Every claim raises `tries`, so the number says whose claim it is: notes are taken of the present one alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import orjson
from django.conf import settings

from ami.base.database import execute, rows
from ami.jobs.lifecycle.inbox_body import AcceptedItem, unpack_body


@dataclass(slots=True)
class ClaimedRow:
    """One inbox row that this process may save until its claim is over."""

    id: int
    job_id: int
    tries: int
    applied: bool
    body: bytes
    kills: dict[int, int] = field(default_factory=dict)
    """Per image: how many tries died while it was the item in hand."""

    def items(self) -> list[AcceptedItem]:
        """The accepted results. Raises ValueError when the body cannot be read."""
        return unpack_body(self.body)


def claim(inbox_id: int) -> ClaimedRow | None:
    """Take the row for `CLAIM_SECONDS`; None when it is gone or in somebody else's hands."""
    found = rows(
        """UPDATE jobs_inboxentry SET tries = tries + 1,
            claimed_until = clock_timestamp() + make_interval(secs => %s)
        WHERE id = %s AND (claimed_until IS NULL OR claimed_until < clock_timestamp())
        RETURNING id, job_id, tries, applied_at IS NOT NULL, body, in_hand""",
        [settings.CLAIM_SECONDS, inbox_id],
    )
    if not found:
        return None
    row_id, job_id, tries, applied, body, in_hand = found[0]
    row = ClaimedRow(row_id, job_id, tries, applied, bytes(body))
    notes: dict[str, Any] = orjson.loads(in_hand) if isinstance(in_hand, str) else in_hand or {}
    row.kills = {int(image): count for image, count in notes.get("kills", {}).items()}
    if (image := notes.get("image")) is not None:
        row.kills[image] = row.kills.get(image, 0) + 1
    return row


class ClaimLost(Exception):
    """The claim was over and somebody else has the row now: whatever is left to do is theirs."""


def note_in_hand(row: ClaimedRow, image_id: int | None) -> None:
    """Write down which item is in hand, so that a death now counts against it; also holds the claim.

    Raises ClaimLost.
    """
    notes = {"image": image_id, "kills": {str(image): count for image, count in row.kills.items()}}
    noted = execute(
        """UPDATE jobs_inboxentry SET in_hand = %s::jsonb,
            claimed_until = clock_timestamp() + make_interval(secs => %s) WHERE id = %s AND tries = %s""",
        [orjson.dumps(notes).decode(), settings.CLAIM_SECONDS, row.id, row.tries],
    )
    if not noted:
        raise ClaimLost


def mark_applied(row: ClaimedRow) -> None:
    """Say that every item has its outcome; call in the transaction that gave the last one its outcome.

    Raises ClaimLost.
    """
    marked = execute(
        """UPDATE jobs_inboxentry SET applied_at = clock_timestamp(), in_hand = NULL
        WHERE id = %s AND tries = %s""",
        [row.id, row.tries],
    )
    if not marked:
        raise ClaimLost


def put_back(row: ClaimedRow) -> bool:
    """End the claim now, so that the next try need not wait for it to lapse; False if it is another's now."""
    return bool(
        execute(
            """UPDATE jobs_inboxentry SET claimed_until = NULL
            WHERE id = %s AND tries = %s AND applied_at IS NULL""",
            [row.id, row.tries],
        )
    )


def close(row: ClaimedRow) -> None:
    """Delete a row whose items all have their outcome."""
    execute("DELETE FROM jobs_inboxentry WHERE id = %s AND applied_at IS NOT NULL", [row.id])
