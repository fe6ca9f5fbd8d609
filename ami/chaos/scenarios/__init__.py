"""All scenarios, in files by what is broken. They are registered when their file is imported."""

from __future__ import annotations

import importlib
import pkgutil


def load() -> None:
    """Register all of them."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
