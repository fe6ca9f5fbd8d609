"""Whether an optional package is there."""

from __future__ import annotations

from importlib.util import find_spec


def is_installed(package: str) -> bool:
    """Whether it can be imported; looks without importing it."""
    try:
        return find_spec(package) is not None
    except ModuleNotFoundError:  # not even its parent
        return False
