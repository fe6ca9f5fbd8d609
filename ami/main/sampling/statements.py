"""Which captures a set holds, as one SELECT of their ids. Every method is a rule of a few lines of SQL.

Chance is a hash of the capture and a seed, so that work that is repeated chooses the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ami.main.models import SourceImage
from ami.main.models.capture_set import CaptureSetMethod
from ami.main.sampling.filters import conditions

_LUCK = "hashint8extended(id, %(seed)s::bigint)"
_IN_TIME = "timestamp, id"

_EACH = "PARTITION BY event_id"
_STRATUM = "PARTITION BY event_id, CASE WHEN event_id IS NULL THEN deployment_id END"
_STRETCH = "floor(extract(epoch FROM timestamp) / (60 * %(minute_interval)s))"

_FIRST_OF_STRETCH = f"""
SELECT DISTINCT ON (deployment_id, {_STRETCH}) * FROM {{source}} WHERE timestamp IS NOT NULL
ORDER BY deployment_id, {_STRETCH}, {_IN_TIME}
"""  # noqa: S608 - written here


def _ranked(order: str, *, window: str = _EACH, keep: str, only: str = "event_id IS NOT NULL") -> str:
    """Rows by their rank in the window."""
    return f"""SELECT * FROM (
        SELECT *, row_number() OVER ({window} ORDER BY {order}) AS rank FROM base WHERE {only}
    ) ranked WHERE {keep}"""  # noqa: S608 - written here


_RANDOM = f"SELECT * FROM base ORDER BY {_LUCK}, id LIMIT %(size)s"  # noqa: S608
_STRATIFIED = f"""SELECT * FROM (
    SELECT *, row_number() OVER ({_STRATUM} ORDER BY {_LUCK}, id) AS turn FROM base
) drawn ORDER BY turn, {_LUCK}, id LIMIT %(size)s"""  # noqa: S608
_LAST_AND_RANDOM = f"""SELECT * FROM (
    SELECT *, row_number() OVER (PARTITION BY event_id, from_end = 1 ORDER BY {_LUCK}, id) AS rank FROM (
        SELECT *, row_number() OVER ({_EACH} ORDER BY timestamp DESC, id DESC) AS from_end
        FROM base WHERE event_id IS NOT NULL
    ) placed
) ranked WHERE from_end = 1 OR rank <= %(num_each)s"""  # noqa: S608
_DEALT = f"""SELECT * FROM (
    SELECT *, row_number() OVER ({_EACH} ORDER BY {_LUCK}, id) AS each_rank
    FROM {{source}} WHERE event_id IS NOT NULL
) ranked WHERE each_rank <= %(num_each)s"""  # noqa: S608
_FROM_START = _ranked(_IN_TIME, keep="rank = %(position)s + 1")
_FROM_END = _ranked("timestamp DESC, id DESC", keep="rank + %(position)s = 0")

_CHOOSE = {
    CaptureSetMethod.RANDOM: _RANDOM,
    CaptureSetMethod.STRATIFIED_RANDOM: _STRATIFIED,
    CaptureSetMethod.RANDOM_FROM_EACH_EVENT: _ranked(f"{_LUCK}, id", keep="rank <= %(num_each)s"),
    CaptureSetMethod.LAST_AND_RANDOM_FROM_EACH_EVENT: _LAST_AND_RANDOM,
    CaptureSetMethod.GREATEST_FILE_SIZE_FROM_EACH_EVENT: _ranked(
        "size DESC NULLS LAST, id", keep="rank <= %(num_each)s"
    ),
    CaptureSetMethod.NTH: _ranked(
        _IN_TIME, window="PARTITION BY deployment_id", keep="(rank - 1) %% %(nth)s = 0", only="true"
    ),
}


def chosen(method: str, parameters: Mapping[str, Any]) -> str:
    """SQL that gives the ids of the captures; it names `project`, `seed`, `stars` and the parameters."""
    steps = [f"base AS ({_base(method, parameters)})", f"picked AS ({_pick(method, parameters)})"]
    source = "picked"
    if "minute_interval" in parameters:
        steps.append(f"thinned AS ({_FIRST_OF_STRETCH.format(source=source)})")
        source = "thinned"
    if method == CaptureSetMethod.COMMON_COMBINED and "num_each" in parameters:
        steps.append(f"dealt AS ({_DEALT.format(source=source)})")
        source = "dealt"
    return f"WITH {', '.join(steps)} SELECT id FROM {source}{_limit(method, parameters)}"  # noqa: S608


def _base(method: str, parameters: Mapping[str, Any]) -> str:
    """The captures that fulfil every condition."""
    wanted = ["c.project_id = %(project)s", *conditions(parameters)]
    if method == CaptureSetMethod.STARRED:
        wanted.append(
            "c.id IN (SELECT sourceimage_id FROM main_sourceimagecollection_images "
            "WHERE sourceimagecollection_id = %(stars)s)"
        )
    if method == CaptureSetMethod.DETECTIONS_ONLY:
        detections: Any = SourceImage._meta.get_field("detections").related_model
        table = detections._meta.db_table
        wanted.append(f"EXISTS (SELECT FROM {table} x WHERE x.source_image_id = c.id AND x.x1 IS NOT NULL)")
    return f"""SELECT c.id, c.deployment_id, c.event_id, c.timestamp, c.size
        FROM main_sourceimage c LEFT JOIN main_deployment d ON d.id = c.deployment_id
        WHERE {" AND ".join(wanted)}"""  # noqa: S608 - conditions are written here, values are parameters


def _pick(method: str, parameters: Mapping[str, Any]) -> str:
    if method == CaptureSetMethod.POSITIONAL:
        return _FROM_START if parameters["position"] >= 0 else _FROM_END
    return _CHOOSE.get(CaptureSetMethod(method), "SELECT * FROM base")


def _limit(method: str, parameters: Mapping[str, Any]) -> str:
    """`max_num`: the earliest, or with `shuffle` any. `size` of combined parameters: any."""
    by_chance = f" ORDER BY {_LUCK}, id"
    if method == CaptureSetMethod.COMMON_COMBINED and "size" in parameters:
        most = "LEAST(%(size)s, %(max_num)s)" if "max_num" in parameters else "%(size)s"
        return f"{by_chance} LIMIT {most}"
    if "max_num" in parameters:
        return f"{by_chance if parameters.get('shuffle') else f' ORDER BY {_IN_TIME}'} LIMIT %(max_num)s"
    return ""
