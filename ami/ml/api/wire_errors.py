"""Schema errors in the words that existing clients know: those of pydantic 1."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

_WORDS = {
    "missing": ("field required", "value_error.missing"),
    "string_type": ("str type expected", "type_error.str"),
    "int_type": ("value is not a valid integer", "type_error.integer"),
    "int_parsing": ("value is not a valid integer", "type_error.integer"),
    "int_from_float": ("value is not a valid integer", "type_error.integer"),
    "float_type": ("value is not a valid float", "type_error.float"),
    "float_parsing": ("value is not a valid float", "type_error.float"),
    "list_type": ("value is not a valid list", "type_error.list"),
    "dict_type": ("value is not a valid dict", "type_error.dict"),
    "model_type": ("value is not a valid dict", "type_error.dict"),
}


def as_wire(error: ValidationError) -> list[dict[str, Any]]:
    """One object per problem, with `loc` (strings, from the root of the list), `msg` and `type`."""
    shown = []
    for problem in error.errors(include_url=False, include_context=False, include_input=True):
        message, kind = _WORDS.get(problem["type"], (problem["msg"], "value_error"))
        if problem["type"] != "missing" and problem["input"] is None:
            message, kind = "none is not an allowed value", "type_error.none.not_allowed"
        shown.append({"loc": ["__root__", *map(str, problem["loc"])], "msg": message, "type": kind})
    return shown
