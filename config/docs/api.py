"""The page docs/reference/api.md: every call of the API, from its OpenAPI description.

Who may make a call is read from the table that `ami/tests/test_permission_matrix.py` tries out on every
route: a row that were wrong would be a failing test.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from drf_spectacular.generators import SchemaGenerator

from config.docs.tables import table

ROOT = Path(__file__).resolve().parent.parent.parent
MATRIX = ROOT / "ami" / "tests" / "test_permission_matrix.py"
BASE = "/api/v2"
METHODS = ("get", "post", "put", "patch", "delete")
ACTORS = "aomMwkfs"
"""The columns of the table of permissions; it explains them."""

HEAD = """# Calls of the API

Every call of the HTTP API: address, what it does, who may make it. Addresses begin with `/api/v2`. What
goes in and comes out stands in the description of a running server, as a page at `/api/v2/docs/` and as
OpenAPI at `/api/v2/schema/`; for workers [The worker protocol](worker-protocol.md) explains it. This
page is made by `python -m config.docs` from that description and from the table of
`ami/tests/test_permission_matrix.py`.

**Who may** is said for what the caller sees: a project that is a draft does not exist (404) for those
without a part in it, and lists show each caller what he may see. *Members* have any role in the project
but Worker; *managers* have the role Project manager, or another with the same right ([roles](roles.md));
*workers* are worker keys of the project and accounts with the role Worker; *administrators* are
superusers.
"""

WHO = (
    ("a", "everybody"),
    ("o", "every account"),
    ("m", "members"),
    ("M", "managers"),
)


@dataclass(frozen=True)
class Call:
    """One operation of the description."""

    tag: str
    path: str
    method: str
    summary: str
    description: str

    @property
    def key(self) -> tuple[str, int]:
        """Sorts by address, then in the order in which people use things."""
        return self.path, METHODS.index(self.method)


def page() -> str:
    """The whole page."""
    calls = sorted(_calls(), key=lambda call: call.key)
    lists = _collections(calls)
    signs = _signs()
    parts = [HEAD]
    for tag in sorted({call.tag for call in calls}):
        parts.append(f"## {tag}\n")
        of_tag = [call for call in calls if call.tag == tag]
        for place in sorted({_collection_of(call, lists) for call in of_tag}):
            if place:
                parts.append(f"`{place}`: {lists[place]}\n")
            rows = (
                (f"`{call.method.upper()} {call.path}`", call.summary, _who(signs, call))
                for call in of_tag
                if _collection_of(call, lists) == place
            )
            parts.append(table(("call", "does", "who may"), rows))
    return "\n".join(parts)


def _calls() -> Iterable[Call]:
    schema = SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
    for path, operations in schema["paths"].items():
        for method, operation in operations.items():
            yield Call(
                tag=operation["tags"][0],
                path=path.removeprefix(BASE),
                method=method,
                summary=operation["summary"],
                description=operation.get("description", "").split("\n\n")[0],
            )


def _collections(calls: Iterable[Call]) -> dict[str, str]:
    """Addresses of lists, with the sentence about what is listed there."""
    return {call.path: call.description for call in calls if call.method == "get" and call.summary == "List"}


def _collection_of(call: Call, lists: Iterable[str]) -> str:
    """The longest address of a list that the call's address begins with; empty if there is none."""
    return max((place for place in lists if call.path.startswith(place)), key=len, default="")


def _signs() -> dict[tuple[str, str], str]:
    """What each actor hears in a public project, by method and address."""
    for node in ast.parse(MATRIX.read_text()).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "TABLE":
            lines = str(ast.literal_eval(node.value)).splitlines()
            rows = [line.split() for line in lines if "/" in line]
            return {
                (row[0].lower(), _address(row[1])): "".join(row[2 : 2 + len(ACTORS)])
                for row in rows
                if row[1].startswith("…")
            }
    raise ValueError(f"{MATRIX} has no TABLE.")


def _address(route: str) -> str:
    """An address as OpenAPI writes it."""
    return route.removeprefix("…").replace("<pk>", "{id}").replace("<", "{").replace(">", "}")


def _who(signs: dict[tuple[str, str], str], call: Call) -> str:
    """Who may make a call, in words."""
    heard = signs.get((call.method, call.path))
    if heard is None:
        raise ValueError(f"The table of {MATRIX.name} has no row for {call.method} {call.path}.")
    # 0 is a 400: to those who belong to the project it says that the made-up body has nothing to ask about.
    may = {
        actor
        for actor, sign in zip(ACTORS, heard, strict=True)
        if sign in "+>" or (sign == "0" and actor != "f")
    }
    if "s" not in may:  # superusers may do everything but enter what is somebody's own
        return "whoever made it"
    words = next(([word] for actor, word in WHO if actor in may), [])
    if not {"a", "o"} & may:
        words += ["workers"] if {"w", "k"} <= may else ["accounts with the role Worker"] if "w" in may else []
    return ", ".join(words) or "administrators"
