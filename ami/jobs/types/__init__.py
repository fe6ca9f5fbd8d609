"""Kinds of internal jobs, one a file; `register_all` makes them known (docs/explanation/internal-jobs.md)."""

from __future__ import annotations


def register_all() -> None:
    """Let jobs of every kind here run. Safe to call twice."""
