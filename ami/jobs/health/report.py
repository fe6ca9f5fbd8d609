"""What a health check did: how many things it looked at, repaired, and could not repair."""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(slots=True)
class Report:
    """Counts of one run of one check."""

    checked: int = 0
    fixed: int = 0
    unfixable: int = 0
    skipped: bool = False
    """Another process is running this very check."""

    def as_dict(self) -> dict[str, int | bool]:
        """For logs and the API."""
        return asdict(self)
