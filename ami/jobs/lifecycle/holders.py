"""Who works on a task: the holder that a lease is bound to, and the name under which the work is recorded."""

from __future__ import annotations

from dataclasses import dataclass

NAME_MAX = 255


@dataclass(frozen=True, slots=True)
class Worker:
    """A caller of the worker endpoints.

    `holder` is what leases are bound to (`service:7`, or `user:7` for users' tokens): another holder cannot
    use them. `name` is what people read in the ledger; what the caller says of itself in it proves nothing.
    `instance_id` is the row of this worker among `ami.ml`'s worker instances, if it has one.
    """

    holder: str
    name: str
    instance_id: int | None = None
