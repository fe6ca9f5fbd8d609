"""The pipelines that come with AMI."""

from __future__ import annotations

from ami.worker.pipeline import Pipeline
from ami.worker.pipelines.light_trap_contours import LightTrapContours

BUILT_IN: tuple[type[Pipeline], ...] = (LightTrapContours,)
