"""The description of the API as the server gives it, and sharpened with what exists in a small world.

A number out of the blue names nothing, and a request that ends in a 404 has tried little. So where the
description says "a project", or "a lease", the sharpened one says "this project", "this lease".
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import schemathesis
import schemathesis.generation.hypothesis
from django.urls import resolve
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.renderers import OpenApiJsonRenderer
from hypothesis import core as hypothesis_core
from schemathesis.core.result import Ok
from schemathesis.schemas import APIOperation

from ami.ml.schemas import PipelineConfigResponse, PipelineTaskResult, TaskFailure
from ami.ml.schemas.base import WireModel
from ami.tests.fuzz.known import Known, Values

# Its set-up silences for the whole process how hypothesis shows a failing example. Others want to see theirs.
_printer = vars(hypothesis_core)["RepresentationPrinter"]
schemathesis.generation.hypothesis.setup()
vars(hypothesis_core)["RepresentationPrinter"] = _printer

Operation = APIOperation[Any, Any, Any, Any]

_PARAMETER = re.compile(r"\{\w+\}")
_REFERENCE = "#/components/schemas/"
_LOOSE: dict[tuple[str, str], type[WireModel]] = {
    ("ResultRequestRequest", "results"): PipelineTaskResult,
    ("FailRequestRequest", "failures"): TaskFailure,
    ("RegistrationRequest", "pipelines"): PipelineConfigResponse,
}
"""Lists whose items the description leaves open, since each is judged alone, and what an item should be."""


def operations(kind: str) -> list[Operation]:
    """The operations of a kind, as they are described."""
    return _loaded(_description(kind))


def sharpened(kind: str, known: Known) -> list[Operation]:
    """The same operations in the same order, each about what exists."""
    return _loaded(_sharpened(_description(kind), known))


def described_kinds() -> set[str]:
    """The kinds of which there are operations."""
    return {kind_of(route_name(path)) for path in json.loads(_rendered())["paths"]}


def kind_of(name: str) -> str:
    """What the address with this name is about: `job` for `job-detail`."""
    return name.split("-")[0]


def route_name(path: str) -> str:
    """The name of an address: `job-detail` for `/api/v2/jobs/{id}/`."""
    return str(resolve(_PARAMETER.sub("1", path)).url_name)


@lru_cache(maxsize=1)
def _rendered() -> bytes:
    schema = SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
    return bytes(OpenApiJsonRenderer().render(schema, renderer_context={}))


def _description(kind: str) -> dict[str, Any]:
    description: dict[str, Any] = json.loads(_rendered())
    paths = description["paths"]
    description["paths"] = {path: paths[path] for path in paths if kind_of(route_name(path)) == kind}
    return description


def _loaded(description: dict[str, Any]) -> list[Operation]:
    schema = schemathesis.openapi.from_dict(description, config=schemathesis.Config())
    return [result.ok() for result in schema.get_all_operations() if isinstance(result, Ok)]


def _sharpened(description: dict[str, Any], known: Known) -> dict[str, Any]:
    _name(description, known.api)
    components = description["components"]["schemas"]
    for (component, field), model in _LOOSE.items():
        item = model.model_json_schema(ref_template=f"{_REFERENCE}Wire{{model}}")
        _name(item, known.wire)
        components |= {f"Wire{name}": schema for name, schema in item.pop("$defs", {}).items()}
        components[component]["properties"][field] = {"type": "array", "items": item}
    return description


def _name(document: Any, values: Values) -> None:
    """Let parameters and fields with these names take only these values."""
    for entry in list(_objects(document)):
        for name in entry.get("properties", {}).keys() & values.keys():
            entry["properties"][name] = {"enum": values[name]}
        if {"in", "schema"} <= entry.keys() and entry["name"] in values:
            entry["schema"] = {"enum": values[entry["name"]]}


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    """Every object in a document, at any depth."""
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    for child in value if isinstance(value, list) else ():
        yield from _objects(child)
