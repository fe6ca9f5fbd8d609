"""Buttons on the page of a row: the actions of its list, for this row alone."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Button:
    """An action by its name, and what its button says. Grave ones are red, and ask before they act."""

    action: str
    words: str
    is_grave: bool = False
