"""Every route that the server has, read from Django's own table of addresses."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.urls import URLPattern, URLResolver, get_resolver

from config.health import _PROBES

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_GROUP = re.compile(r"\(\?P<(\w+)>(?:[^()\[\]]|\[[^\]]*\])*\)")
_CONVERTER = re.compile(r"<\w+:(\w+)>")


@dataclass(frozen=True, slots=True)
class Route:
    """A method on an address; `<name>` stands for what changes in it."""

    method: str
    path: str
    name: str
    """The name of the address, such as `job-detail`; empty if it has none."""

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


def all_routes() -> list[Route]:
    """The API, the files and the probes; not the admin site, for which there is `admin_paths`."""
    probes = [Route("GET", path, "") for path in _PROBES]
    found = [
        Route(method, path, pattern.name or "")
        for path, pattern in _patterns(get_resolver().url_patterns, "/")
        if not _is_admin(path)
        for method in _methods(pattern.callback)
    ]
    return probes + found


def admin_paths() -> list[str]:
    """The addresses of the admin site."""
    return [path for path, _ in _patterns(get_resolver().url_patterns, "/") if _is_admin(path)]


def _is_admin(path: str) -> bool:
    return path.startswith(f"/{settings.ADMIN_URL}")


def _patterns(entries: Sequence[URLPattern | URLResolver], before: str) -> Iterator[tuple[str, URLPattern]]:
    """Every pattern below these, with its whole address."""
    for entry in entries:
        path = before + _readable(str(entry.pattern))
        if isinstance(entry, URLResolver):
            yield from _patterns(entry.url_patterns, path)
        elif "<format>" not in path:  # `jobs.json`: the same view under a second address
            yield path, entry


def _readable(pattern: str) -> str:
    named = _GROUP.sub(r"<\1>", pattern.removeprefix("^").removesuffix("$").removesuffix(r"\Z"))
    return _CONVERTER.sub(r"<\1>", named).replace("/?", "/")


def _methods(callback: Any) -> Sequence[str]:
    view = getattr(callback, "cls", None) or getattr(callback, "view_class", None)
    actions = getattr(callback, "actions", None)
    if actions:
        return [method for method in METHODS if method.lower() in actions]
    if view is None:
        return getattr(callback, "methods", ["GET"])  # pages say it; other functions serve files
    answered = [name.upper() for name in view.http_method_names]
    return [method for method in METHODS if method in answered and hasattr(view, method.lower())]
