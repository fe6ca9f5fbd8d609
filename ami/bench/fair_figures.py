"""What fairness measures, in figures: times of small jobs, and what other rules would have given them."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Load:
    """What arrives, and who works on it."""

    workers: int
    milliseconds: float
    """What the model takes for one image."""
    small: int
    """How many small jobs."""
    small_images: int
    large_images: int

    def model_seconds(self, images: int) -> float:
        """The model's time for so many images, with all workers busy."""
        return images * self.milliseconds / 1_000 / self.workers


@dataclass(frozen=True)
class Times:
    """Seconds of the small jobs of one round, each from its own start to its end, and of the large job."""

    small: Sequence[float]
    large: float = 0.0

    def against(self, alone: float) -> str:
        """Shortest, median and longest, in seconds and as multiples of the time alone."""
        figures = (min(self.small), statistics.median(self.small), max(self.small))
        seconds = " / ".join(f"{figure:.2f}" for figure in figures)
        multiples = " / ".join(f"{figure / alone:.1f}" for figure in figures)
        return f"{seconds} s = {multiples} times alone"


def in_order_of_arrival(load: Load, together: Times) -> Times:
    """Computed: the large job arrived first and is worked off first, at the speed that was measured."""
    whole = load.large_images + load.small * load.small_images
    speed = whole / max(together.large, *together.small)
    return Times(
        [(load.large_images + (number + 1) * load.small_images) / speed for number in range(load.small)]
    )


def ideal(load: Load, alone: float, jobs: int) -> float:
    """Computed: seconds of a small job if each of `jobs` had an equal share of the models.

    What a job alone takes beyond its model's time is taken to stay as it is.
    """
    fixed = max(0.0, alone - load.model_seconds(load.small_images))
    return fixed + load.model_seconds(jobs * load.small_images)
