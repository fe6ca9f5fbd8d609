"""Kinds of internal jobs, one a file; `register_all` makes them known (docs/explanation/internal-jobs.md)."""

from __future__ import annotations

from ami.jobs.lifecycle.kinds import register
from ami.jobs.types.data_export import DataExportKind


def register_all() -> None:
    """Let jobs of every kind here run. Safe to call twice."""
    register(DataExportKind())
