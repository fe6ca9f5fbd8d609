"""A broken promise."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Violation:
    """What does not hold, of which job. `invariant`: I1 to I9 (docs/explanation/delivery-guarantees.md)."""

    invariant: str
    job_id: int
    text: str

    def __str__(self) -> str:
        return f"{self.invariant} job {self.job_id}: {self.text}"
