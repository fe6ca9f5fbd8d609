"""Declares every setting once: name, type, default, meaning, and what would be nonsense.

`config.settings` calls these functions; the settings page of the docs and the system checks read `DECLARED`.
A value is taken from the environment variable of the same name, or from the file that `<NAME>_FILE` names,
which is how container platforms hand over secrets.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import ip_network
from typing import Any

from environ import FileAwareEnv
from environ.fileaware_mapping import FileAwareMapping

_environment = FileAwareMapping()


@dataclass(frozen=True)
class Declaration:
    """One setting as the docs show it."""

    name: str
    kind: str
    default: Any
    meaning: str
    secret: bool = False
    value: Any = field(default=None, repr=False)
    problem: str = ""
    """Why the value in force is nonsense; empty when it is fine."""


DECLARED: dict[str, Declaration] = {}


def _record(
    kind: str, name: str, default: Any, meaning: str, value: Any, problem: str = "", secret: bool = False
) -> None:
    DECLARED[name] = Declaration(name, kind, default, meaning, secret, value, problem)


def _read(name: str, cast: Any, default: Any) -> tuple[Any, str]:
    raw = _environment.get(name, "")  # as it stands: `Env()` itself would take a leading $ for a reference
    if raw == "":
        return default, ""
    try:
        return FileAwareEnv.parse_value(raw, cast), ""
    except (ValueError, TypeError):
        return default, f"{name} is {raw!r}, which is not of the type {cast.__name__}."


def _range_problem(name: str, value: float, minimum: float | None, maximum: float | None) -> str:
    if minimum is not None and value < minimum:
        return f"{name} is {value}; it must be at least {minimum}."
    if maximum is not None and value > maximum:
        return f"{name} is {value}; it must be at most {maximum}."
    return ""


def string(
    name: str, default: str, meaning: str, *, secret: bool = False, choices: Sequence[str] = ()
) -> str:
    """A text; `choices` lists the only sensible values."""
    value, problem = _read(name, str, default)
    if not problem and choices and value not in choices:
        problem = f"{name} is {value!r}; it must be one of {', '.join(choices)}."
    _record("text", name, default, meaning, value, problem, secret)
    return str(value)


def boolean(name: str, default: bool, meaning: str) -> bool:
    """A yes or no: `true`, `1`, `yes`, `on` mean yes."""
    value, problem = _read(name, bool, default)
    _record("yes/no", name, default, meaning, value, problem)
    return bool(value)


def integer(
    name: str, default: int, meaning: str, *, minimum: int | None = None, maximum: int | None = None
) -> int:
    """A whole number."""
    value, problem = _read(name, int, default)
    problem = problem or _range_problem(name, value, minimum, maximum)
    _record("whole number", name, default, meaning, value, problem)
    return int(value)


def decimal(
    name: str, default: float, meaning: str, *, minimum: float | None = None, maximum: float | None = None
) -> float:
    """A number with a fraction, usually seconds."""
    value, problem = _read(name, float, default)
    problem = problem or _range_problem(name, value, minimum, maximum)
    _record("number", name, default, meaning, value, problem)
    return float(value)


def strings(name: str, default: Sequence[str], meaning: str, *, secret: bool = False) -> list[str]:
    """A comma-separated list."""
    value, problem = _read(name, list, list(default))
    _record("list", name, list(default), meaning, value, problem, secret)
    return [str(item).strip() for item in value if str(item).strip()]


def networks(name: str, default: Sequence[str], meaning: str) -> list[str]:
    """A comma-separated list of networks in CIDR notation, such as 10.1.0.0/16 or fd00::/8."""
    value, problem = _read(name, list, list(default))
    texts = [str(item).strip() for item in value if str(item).strip()]
    for text in texts:
        try:
            ip_network(text)
        except ValueError as error:
            problem = problem or f"{name} has {text!r} in it, which is not a network: {error}."
    _record("list of networks", name, list(default), meaning, value, problem)
    return texts


def is_given(name: str) -> bool:
    """Whether the environment sets this name (itself or as a `_FILE`)."""
    return name in _environment
