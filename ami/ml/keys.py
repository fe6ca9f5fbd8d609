"""Worker keys: made, rotated, revoked, and recognised.

A key is shown once; the database keeps its digest. Every worker call shows one, so a key that was good is
believed for a few seconds without asking the database again: a revoked one stops working within
`KEY_CACHE_SECONDS` in every process, and at once in the process that revoked it.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models.functions import Least, Now
from django.utils.crypto import get_random_string
from knox.crypto import create_token_string, hash_token

from ami.base import clock
from ami.base.errors import InvalidInput
from ami.main.models import Project
from ami.ml.models import Pipeline, ProcessingService, WorkerKey
from ami.users.callers import Machine
from ami.users.models import User
from ami.users.roles import Role, permissions_of

MARK = "amiw_"
"""How every key begins, so that people, and scanners of repositories, know one when they see it."""

PREFIX_LENGTH = 8
KEY_CACHE_SECONDS = 3.0
DEFAULT_OVERLAP = timedelta(hours=24)
_MOST_REMEMBERED = 4096

_remembered: dict[str, tuple[float, Machine, datetime | None]] = {}
"""Digest → (believed until, the machine, end of the key). Each process has its own."""


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key that was just made; `secret` is the key itself, which nobody can show again."""

    key: WorkerKey
    secret: str


def holder_of(service_id: int) -> str:
    """What the leases of a service's workers are bound to: the service, so that keys can change."""
    return f"service:{service_id}"


@transaction.atomic
def mint(
    *,
    service: ProcessingService,
    projects: Iterable[Project],
    pipelines: Iterable[Pipeline] | None = None,
    name: str = "",
    expires_at: datetime | None = None,
    created_by: User | None = None,
    rotated_from: WorkerKey | None = None,
) -> NewKey:
    """A new key, good in `projects` (at least one, all the service's own) and for `pipelines` (None: all).

    Raises InvalidInput for what makes no sense.
    """
    chosen = list(projects)
    check(service, chosen, expires_at)
    prefix = get_random_string(PREFIX_LENGTH)
    secret = f"{MARK}{prefix}_{create_token_string()}"
    key = WorkerKey.objects.create(
        service=service,
        name=name,
        prefix=prefix,
        digest=hash_token(secret),
        expires_at=expires_at,
        created_by=created_by,
        rotated_from=rotated_from,
        every_pipeline=pipelines is None,
    )
    key.projects.set(chosen)
    key.pipelines.set(pipelines or ())
    return NewKey(key, secret)


def check(service: ProcessingService, projects: Sequence[Project], expires_at: datetime | None) -> None:
    """Raises InvalidInput for a key that would make no sense."""
    if not service.is_async:
        raise InvalidInput("This service is pushed to at its endpoint; only workers that pull need keys.")
    if not projects:
        raise InvalidInput("A key needs at least one project in which it is good.")
    own = set(service.projects.values_list("pk", flat=True))
    if strangers := [project.pk for project in projects if project.pk not in own]:
        raise InvalidInput(f"The service does not work for the project {strangers[0]}.")
    if expires_at is not None and expires_at <= clock.now():
        raise InvalidInput("The key would be over before it begins: choose an end that is still to come.")


@transaction.atomic
def rotate(key: WorkerKey, *, overlap: timedelta = DEFAULT_OVERLAP, created_by: User | None = None) -> NewKey:
    """A new key in place of `key`, which goes on working for `overlap` at most.

    Leases are bound to the service, so work that was taken with the old key is handed in with the new one.
    Raises InvalidInput for a key that is revoked or over.
    """
    locked = WorkerKey.objects.select_for_update(of=("self",)).get(pk=key.pk)
    if not WorkerKey.objects.usable().filter(pk=key.pk).exists():
        raise InvalidInput("This key is revoked or over; make a new one instead.")
    fresh = mint(
        service=locked.service,
        projects=locked.projects.all(),
        pipelines=None if locked.every_pipeline else locked.pipelines.all(),
        name=locked.name,
        expires_at=_same_span(locked),
        created_by=created_by,
        rotated_from=locked,
    )
    WorkerKey.objects.filter(pk=key.pk).update(
        expires_at=Least("expires_at", clock.now() + overlap), updated_at=Now()
    )
    forget(locked.digest)
    return fresh


def _same_span(key: WorkerKey) -> datetime | None:
    """The new key lives as long as the old one was made to."""
    return None if key.expires_at is None else clock.now() + (key.expires_at - key.created_at)


def revoke(key: WorkerKey) -> bool:
    """End a key now; False if it was revoked before. Safe to run twice."""
    revoked = WorkerKey.objects.filter(pk=key.pk, revoked_at__isnull=True).update(
        revoked_at=Now(), updated_at=Now()
    )
    forget(key.digest)
    return bool(revoked)


def recognise(raw: str) -> Machine | None:
    """The machine behind a key, or None for what is no good key. At most a few queries, never a write."""
    digest = hash_token(raw)
    believed_until, machine, expires_at = _remembered.get(digest, (0.0, None, None))
    if machine is None or time.monotonic() >= believed_until:
        _remembered.pop(digest, None)
        found = _load(digest)
        if found is None:
            return None
        machine, expires_at = found
        if len(_remembered) >= _MOST_REMEMBERED:
            _remembered.clear()
        _remembered[digest] = (time.monotonic() + KEY_CACHE_SECONDS, machine, expires_at)
    if expires_at is not None and expires_at <= clock.now():
        return None
    return machine


def _load(digest: str) -> tuple[Machine, datetime | None] | None:
    key = WorkerKey.objects.usable().select_related("service").filter(digest=digest).first()
    if key is None:
        return None
    # A project that the service has left is none of its keys' business any more.
    projects = key.projects.filter(active=True, processing_services=key.service_id)
    rights = permissions_of(Role.WORKER)
    machine = Machine(
        holder=holder_of(key.service_id),
        name=key.service.name,
        grants=dict.fromkeys(projects.values_list("pk", flat=True), rights),
        service_id=key.service_id,
        key_id=key.pk,
        pipeline_ids=None if key.every_pipeline else frozenset(key.pipelines.values_list("pk", flat=True)),
    )
    return machine, key.expires_at


def forget(digest: str) -> None:
    """Stop believing a key in this process at once."""
    _remembered.pop(digest, None)


def forget_all() -> None:
    """Ask the database about every key anew."""
    _remembered.clear()
