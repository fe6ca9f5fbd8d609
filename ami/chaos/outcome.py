"""What one run of a scenario showed."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(slots=True)
class Outcome:
    """One scenario, one variant, one seed."""

    scenario: str
    variant: str
    seed: int
    violations: list[str] = field(default_factory=list)
    """Promises that were broken; must be empty."""
    error: str = ""
    """Why the run did not come to its end, such as what did not happen in its time; must be empty."""
    seconds: float = 0.0
    heal_seconds: float | None = None
    """From the end of the fault to the job's end, or as the scenario defines it."""
    samples: int = 0
    missed: int = 0
    """Looks at the invariants, and those that the database did not answer."""
    redeliveries: float = 0.0
    """Images handed out again, per image."""
    duplicated: float = 0.0
    """Work begun more than once, in per cent of the images."""
    notes: dict[str, float] = field(default_factory=dict)
    """Figures of this scenario alone; the names say the unit."""

    @property
    def name(self) -> str:
        """As it is chosen on the command line."""
        return f"{self.scenario}:{self.variant}" if self.variant else self.scenario

    @property
    def good(self) -> bool:
        """Whether everything held and came to its end."""
        return not self.violations and not self.error

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)
