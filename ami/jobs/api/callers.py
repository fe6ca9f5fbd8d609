"""Which worker calls: what it proves (its token or key), and what it says of itself.

Leases are bound to what is proven. The name is for people, and tells a worker from its peers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rest_framework.request import Request

from ami.base.logs import clean_text
from ami.jobs.lifecycle.holders import NAME_MAX, Worker
from ami.ml import workers
from ami.ml.workers import Identity
from ami.users.callers import Machine

NAME_HEADER = "X-Processing-Service-Name"
_LENGTHS = {
    "name": NAME_MAX,
    "instance": NAME_MAX,
    "hostname": 255,
    "software": 255,
    "version": 64,
    "platform": 255,
}


@dataclass(frozen=True, slots=True)
class Introduction:
    """What a worker says of itself; everything may be empty."""

    name: str = ""
    """The name of its service."""
    instance: str = ""
    """What tells it from the other workers of its service."""
    hostname: str = ""
    software: str = ""
    version: str = ""
    platform: str = ""


@dataclass(frozen=True, slots=True)
class Caller:
    """A worker that calls."""

    worker: Worker
    introduction: Introduction
    key_id: int | None
    service_id: int | None
    user_id: int | None


def introduction(request: Request, client_info: Any) -> Introduction:
    """What the caller says of itself, cleaned: it is a stranger's text. What is no text counts as unsaid."""
    given = client_info if isinstance(client_info, dict) else {}
    said = {
        key: _line(str(given[key]), length)
        for key, length in _LENGTHS.items()
        if isinstance(given.get(key), str | int | float)
    }
    if not said.get("name"):
        said["name"] = _line(request.headers.get(NAME_HEADER, ""), NAME_MAX)
    return Introduction(**said)


def _line(text: str, length: int) -> str:
    """One clean line: names stand in the middle of sentences, in logs and in tables."""
    return " ".join(clean_text(text, length).split())


def caller(request: Request, client_info: Any = None) -> Caller:
    """Who calls. Makes the row of a worker that calls for the first time; else no statement."""
    said = introduction(request, client_info)
    user = request.user
    if isinstance(user, Machine):
        name = _label(user.name, said.instance or said.hostname or said.name)
        holder, service_id, user_id, key_id = user.holder, user.service_id, None, user.key_id
    else:
        name = _label(said.name, said.instance or said.hostname) or _name_of_token(request)
        holder, service_id, user_id, key_id = f"user:{user.pk}", None, user.pk, None
    identity = Identity(
        holder=holder,
        name=name[:NAME_MAX],
        service_id=service_id,
        user_id=user_id,
        hostname=said.hostname,
        software=said.software,
        version=said.version,
        platform=said.platform,
    )
    worker = Worker(holder, identity.name, workers.instance_id(identity))
    return Caller(worker, said, key_id, service_id, user_id)


def _label(service: str, instance: str) -> str:
    """A service and one of its workers, without saying anything twice."""
    if not service or not instance or instance in service:
        return service or instance
    return instance if service in instance else f"{service} / {instance}"


def _name_of_token(request: Request) -> str:
    """A worker that says nothing is known by its token: by the digits of a digest, which open nothing."""
    account = _line(getattr(request.user, "name", ""), NAME_MAX) or f"user {request.user.pk}"
    digest = str(getattr(request.auth, "digest", ""))[:8]
    return f"{account[:200]} (token {digest})" if digest else account


def slugs_in(value: Any) -> Sequence[str] | None:
    """A list of pipeline slugs from a body; None if it names none, and so does not narrow anything."""
    if not isinstance(value, list):
        return None
    return [str(slug) for slug in value if isinstance(slug, str) and slug]
