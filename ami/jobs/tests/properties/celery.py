"""Celery as the lives see it: what is asked for with a delay is due only when time has passed."""

from __future__ import annotations

from ami.jobs.tests.world import OnDemandDispatcher


class PatientDispatcher(OnDemandDispatcher):
    """Remembers what was asked for, once each, and when it is due."""

    def __init__(self) -> None:
        """Nothing asked for yet."""
        super().__init__()
        self._later: dict[tuple[str, int], float] = {}

    def dispatch(self, job_id: int, *, delay: float = 0) -> bool:
        """Remember a dispatch."""
        return self._ask_for("dispatch", job_id, delay)

    def refresh(self, job_id: int, *, delay: float = 0) -> bool:
        """Remember a refresh."""
        return self._ask_for("refresh", job_id, delay)

    def _ask_for(self, verb: str, key: int, delay: float) -> bool:
        if delay <= 0 or self.down:
            return self._ask(verb, key)
        self._later[verb, key] = min(delay, self._later.get((verb, key), delay))
        return True

    def pass_time(self, seconds: float) -> None:
        """What is due now is asked for now."""
        left = {piece: delay - seconds for piece, delay in self._later.items()}
        for (verb, key), delay in left.items():
            if delay <= 0 and (verb, key) not in self.asked:
                self.asked.append((verb, key))
        self._later = {piece: delay for piece, delay in left.items() if delay > 0}

    def forget(self) -> None:
        """Lose every request."""
        self.asked.clear()
        self._later.clear()
