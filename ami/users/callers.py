"""Callers without an account: machines that hold a key of their own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from django.contrib.auth.models import AnonymousUser


class Machine(AnonymousUser):
    """A machine with a key. What it may do is said project by project; elsewhere it sees nothing.

    It is no `User`: it owns nothing, has no roles, and cannot log in to anything.
    """

    is_active: Any = True

    def __init__(
        self,
        *,
        holder: str,
        name: str,
        grants: Mapping[int, frozenset[str]],
        service_id: int,
        key_id: int,
        pipeline_ids: frozenset[int] | None = None,
    ) -> None:
        """`holder`: what its leases are bound to. `grants`: permission codenames by project id.

        `pipeline_ids`: the only pipelines that it may serve; None: any in its projects.
        """
        super().__init__()
        self.holder = holder
        self.name = name
        self.grants = grants
        self.service_id = service_id
        self.key_id = key_id
        self.pipeline_ids = pipeline_ids

    def __str__(self) -> str:
        return self.name

    @property
    def is_authenticated(self) -> Literal[True]:  # type: ignore[override]
        """It showed its key."""
        return True

    @property
    def is_anonymous(self) -> Literal[False]:  # type: ignore[override]
        """We know which machine it is."""
        return False

    def may_serve(self, pipeline_id: int | None) -> bool:
        """Whether its key is good for a pipeline."""
        return self.pipeline_ids is None or pipeline_id in self.pipeline_ids
