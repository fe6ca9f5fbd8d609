"""The parameters of capture sets (`kwargs` on the wire): which method takes which, and what they may be."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import date
from difflib import get_close_matches
from typing import Any

from ami.base.errors import InvalidInput
from ami.main.models.capture_set import CaptureSetMethod

MOST = 10_000_000
"""Upper end of every count."""

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")

Check = Callable[[str, Any], None]


def _whole(low: int, high: int) -> Check:
    def check(name: str, value: Any) -> None:
        if type(value) is not int or not low <= value <= high:
            raise InvalidInput(f"{name!r} is a whole number from {low:,} to {high:,}.")

    return check


def _yes_or_no(name: str, value: Any) -> None:
    if type(value) is not bool:
        raise InvalidInput(f"{name!r} is true or false.")


def _date(name: str, value: Any) -> None:
    if isinstance(value, str) and _DATE.fullmatch(value):
        with suppress(ValueError):
            date.fromisoformat(value)
            return
    raise InvalidInput(f"{name!r} is a date such as 2026-06-01.")


def _ids(things: str) -> Check:
    def check(name: str, value: Any) -> None:
        if not isinstance(value, list) or not all(type(item) is int and 0 < item < 2**63 for item in value):
            raise InvalidInput(f"{name!r} is a list of {things} ids.")

    return check


def _position(name: str, value: Any) -> None:
    if type(value) is not int or not -MOST <= value <= MOST:
        raise InvalidInput(f"{name!r} is a whole number: 0 is the first, -1 the last.")


_COMMON: dict[str, Check] = {
    "deployment_ids": _ids("deployment"),
    "event_ids": _ids("event"),
    "research_site_ids": _ids("site"),
    "date_start": _date,
    "date_end": _date,
    "month_start": _whole(1, 12),
    "month_end": _whole(1, 12),
    "hour_start": _whole(0, 23),
    "hour_end": _whole(0, 23),
    "minute_interval": _whole(1, 525_600),
    "max_num": _whole(1, MOST),
    "shuffle": _yes_or_no,
}
_SIZE = {"size": _whole(1, MOST)}
_NUM_EACH = {"num_each": _whole(1, MOST)}

TAKES: dict[str, Mapping[str, Check]] = {
    CaptureSetMethod.MANUAL: {"image_ids": _ids("capture")},
    CaptureSetMethod.FULL: _COMMON,
    CaptureSetMethod.RANDOM: _COMMON | _SIZE,
    CaptureSetMethod.STRATIFIED_RANDOM: _COMMON | _SIZE,
    CaptureSetMethod.INTERVAL: _COMMON
    | {"exclude_events": _ids("event"), "deployment_id": _whole(1, 2**63 - 1)},
    CaptureSetMethod.STARRED: _COMMON,
    CaptureSetMethod.RANDOM_FROM_EACH_EVENT: _COMMON | _NUM_EACH,
    CaptureSetMethod.LAST_AND_RANDOM_FROM_EACH_EVENT: _COMMON | _NUM_EACH,
    CaptureSetMethod.GREATEST_FILE_SIZE_FROM_EACH_EVENT: _COMMON | _NUM_EACH,
    CaptureSetMethod.DETECTIONS_ONLY: _COMMON,
    CaptureSetMethod.COMMON_COMBINED: _COMMON | _SIZE | _NUM_EACH,
    CaptureSetMethod.POSITIONAL: _COMMON | {"position": _position},
    CaptureSetMethod.NTH: _COMMON | {"nth": _whole(1, MOST)},
}
"""Method → the parameters that it takes, and what each has to be."""

DEFAULTS: dict[str, dict[str, Any]] = {
    CaptureSetMethod.RANDOM: {"size": 100},
    CaptureSetMethod.STRATIFIED_RANDOM: {"size": 100},
    CaptureSetMethod.INTERVAL: {"minute_interval": 10},
    CaptureSetMethod.RANDOM_FROM_EACH_EVENT: {"num_each": 10},
    CaptureSetMethod.LAST_AND_RANDOM_FROM_EACH_EVENT: {"num_each": 1},
    CaptureSetMethod.GREATEST_FILE_SIZE_FROM_EACH_EVENT: {"num_each": 1},
    CaptureSetMethod.POSITIONAL: {"position": -1},
    CaptureSetMethod.NTH: {"nth": 10},
}


def check_parameters(method: str, parameters: Any) -> dict[str, Any]:
    """The parameters of a method, if they make sense. Raises InvalidInput with what is wrong.

    A parameter that is null counts as left out, except for `image_ids`.
    """
    if not isinstance(parameters, dict):
        raise InvalidInput("The parameters of a capture set are an object.")
    takes = TAKES.get(method, {})
    for name, value in parameters.items():
        if name not in takes:
            raise InvalidInput(f"The method {method!r} takes no parameter {name!r}.{_hint(name, takes)}")
        if value is not None or name == "image_ids":
            takes[name](name, value)
    start, end = parameters.get("date_start"), parameters.get("date_end")
    if start and end and start > end:
        raise InvalidInput("'date_start' is after 'date_end'.")
    return parameters


def in_force(method: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters with the defaults of the method, without those that are null."""
    return DEFAULTS.get(method, {}) | {name: value for name, value in parameters.items() if value is not None}


def _hint(name: str, takes: Mapping[str, Check]) -> str:
    close = get_close_matches(name, takes, 1)
    return f" Did you mean {close[0]!r}?" if close else ""
