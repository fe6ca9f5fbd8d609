"""What all wire schemas share: how forgiving they are, and the caps that keep a post from hurting the server.

Existing workers were written against pydantic 1. So unknown keys are ignored, numbers are taken for strings
and numeric strings for numbers. What no database column can hold (NaN, NUL characters, the year 1) is refused
here, where a client gets a sentence, and not later, where a whole batch would fail.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints
from pydantic_core import to_json

MAX_NAME = 255
MAX_ID = 64
MAX_TEXT = 20_000
MAX_URL = 8_192
MAX_TOKEN = 1_024
MAX_CLASSES = 100_000
"""Labels of one category map, and scores of one classification; 29,000 are real."""
MAX_CLASSIFICATIONS = 100
MAX_DETECTIONS = 10_000
MAX_IMAGES = 10_000
MAX_PIPELINES = 1_000
MAX_ALGORITHMS = 100
MAX_TASKS = 10_000

NO_NUL = r"^[^\x00]*$"
_NUL_IN_JSON = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
LARGEST_FLOAT = 3.4e38
"""The database keeps scores as four-byte floats."""

Id = Annotated[str, StringConstraints(max_length=MAX_ID, pattern=NO_NUL)]
Name = Annotated[str, StringConstraints(max_length=MAX_NAME, pattern=NO_NUL)]
Text = Annotated[str, StringConstraints(max_length=MAX_TEXT, pattern=NO_NUL)]
Url = Annotated[str, StringConstraints(max_length=MAX_URL, pattern=NO_NUL)]
Token = Annotated[str, StringConstraints(max_length=MAX_TOKEN, pattern=NO_NUL)]
Number = Annotated[float, Field(ge=-LARGEST_FLOAT, le=LARGEST_FLOAT)]
Timestamp = Annotated[datetime, Field(ge=datetime(1900, 1, 1), le=datetime(2200, 1, 1))]  # noqa: DTZ001 - compared with both kinds
"""ISO 8601 with or without a zone, or seconds since 1970."""


def without_nul(value: dict[str, Any]) -> dict[str, Any]:
    """Refuse free-form JSON with a NUL character in it: Postgres cannot keep it."""
    if _NUL_IN_JSON.search(to_json(value)):
        raise ValueError("NUL characters are not allowed")
    return value


JsonObject = Annotated[dict[str, Any], AfterValidator(without_nul)]


class WireModel(BaseModel):
    """Base of everything that goes over the wire."""

    model_config = ConfigDict(
        extra="ignore",
        frozen=True,
        allow_inf_nan=False,
        coerce_numbers_to_str=True,
    )
