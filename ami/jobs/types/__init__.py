"""Kinds of internal jobs, one a file; `register_all` makes them known (docs/explanation/internal-jobs.md)."""

from __future__ import annotations

from ami.jobs.lifecycle.kinds import register
from ami.jobs.types.data_export import DataExportKind
from ami.jobs.types.populate import PopulateCaptureSet
from ami.jobs.types.regroup import RegroupEvents
from ami.jobs.types.sync import SyncDataStorage


def register_all() -> None:
    """Let jobs of every kind here run. Safe to call twice."""
    register(DataExportKind())
    register(PopulateCaptureSet())
    register(RegroupEvents())
    register(SyncDataStorage())
