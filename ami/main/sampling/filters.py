"""The parameters that every method knows, as conditions in SQL on a capture `c` of a station `d`.

Days, months and hours are those of the station's clock. Both ends count; hours go over midnight and months
over the end of the year where the end is before the start. What has no time fits no condition on time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_LOCAL = "(c.timestamp AT TIME ZONE COALESCE(NULLIF(d.time_zone, ''), 'UTC'))"

_PLAIN = {
    "deployment_ids": "c.deployment_id = ANY(%(deployment_ids)s::bigint[])",
    "deployment_id": "c.deployment_id = %(deployment_id)s",
    "event_ids": "c.event_id = ANY(%(event_ids)s::bigint[])",
    "exclude_events": "(c.event_id IS NULL OR NOT c.event_id = ANY(%(exclude_events)s::bigint[]))",
    "research_site_ids": "d.research_site_id = ANY(%(research_site_ids)s::bigint[])",
    "date_start": f"{_LOCAL}::date >= %(date_start)s::date",
    "date_end": f"{_LOCAL}::date <= %(date_end)s::date",
}


def conditions(parameters: Mapping[str, Any]) -> list[str]:
    """What a capture has to fulfil; the parameters are named in it as they are."""
    found = [condition for name, condition in _PLAIN.items() if name in parameters]
    found += _cyclic("month", parameters, first=1, last=12)
    found += _cyclic("hour", parameters, first=0, last=23)
    return found


def _cyclic(unit: str, parameters: Mapping[str, Any], *, first: int, last: int) -> list[str]:
    """A stretch of the year or of the day; an end that is left out is that of the year or the day."""
    names = (f"{unit}_start", f"{unit}_end")
    if not any(name in parameters for name in names):
        return []
    start, end = parameters.get(names[0], first), parameters.get(names[1], last)
    value = f"extract({unit} FROM {_LOCAL})"
    if start <= end:
        return [f"{value} BETWEEN {int(start)} AND {int(end)}"]
    return [f"({value} >= {int(start)} OR {value} <= {int(end)})"]
