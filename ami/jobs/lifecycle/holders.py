"""Who works on a task: the holder that a lease is bound to, and the name under which the work is recorded."""

from __future__ import annotations

from dataclasses import dataclass

from ami.base.logs import clean_text

NAME_MAX = 255


@dataclass(frozen=True, slots=True)
class Worker:
    """A caller of the worker endpoints.

    `holder` is what leases are bound to (`user:7`): another holder cannot use them. `name` is what people
    read in the ledger; it comes from the caller and proves nothing.
    """

    holder: str
    name: str


def worker_of(user_id: int, user_name: str, given_name: str) -> Worker:
    """The worker behind a user's token; `given_name` is what the caller says it is called."""
    name = clean_text(given_name or user_name or f"user {user_id}", NAME_MAX).strip()
    return Worker(holder=f"user:{user_id}", name=name or f"user {user_id}")
