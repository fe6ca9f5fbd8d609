"""What a health check did: how many things it looked at, repaired, and could not repair."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Report:
    """Counts of one run of one check. In a dry run `fixed` is what it would have repaired."""

    checked: int = 0
    fixed: int = 0
    unfixable: int = 0
    skipped: bool = False
    """Another process is running this very check."""
    error: str = ""
    """Why the check itself failed."""

    @property
    def is_quiet(self) -> bool:
        """Whether there was nothing to do."""
        return not (self.fixed or self.unfixable or self.error)

    def as_dict(self) -> dict[str, int]:
        """For logs and the API."""
        return {"checked": self.checked, "fixed": self.fixed, "unfixable": self.unfixable}
