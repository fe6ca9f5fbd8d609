"""Deleting with a word beforehand: those who depend on a model hear of it without the model knowing them.

Django's own `pre_delete` comes once per row, after everything that goes with it was looked up. That is too
late to lock what others work on: locks of many rows must be taken in one order, and what is looked up before
them may be outdated when they are granted. A model that derives from `AnnouncedModel` sends two signals
instead, for a whole deletion at once, with `sender` (the model) and `keys` (primary keys).

Rows that go along by a cascade are not announced: who hears of the parent takes care of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Self, TypeVar

from django.db import models, transaction
from django.dispatch import Signal

before_deletion = Signal()
"""Something is about to be deleted; sent outside of the deletion's transaction."""

deletion_began = Signal()
"""Sent as the first thing in the deletion's transaction, before anything is looked up."""

Model = TypeVar("Model", bound=models.Model)


class AnnouncedQuerySet(models.QuerySet[Model]):
    """Rows that are deleted with a word beforehand."""

    def delete(self) -> tuple[int, dict[str, int]]:
        """Announce, then delete; how many rows went, in all and by model."""
        keys = list(self.order_by().values_list("pk", flat=True))
        before_deletion.send(self.model, keys=keys)
        with transaction.atomic(using=self.db):
            deletion_began.send(self.model, keys=keys)
            return super().delete()

    delete.queryset_only = True  # type: ignore[attr-defined]
    delete.alters_data = True  # type: ignore[attr-defined]


class AnnouncedModel(models.Model):
    """A model whose rows are deleted with a word beforehand, one at a time or by the query."""

    objects: ClassVar[models.Manager[Self]] = models.Manager.from_queryset(AnnouncedQuerySet[Self])()

    class Meta:
        abstract = True

    def delete(self, *arguments: Any, **named: Any) -> tuple[int, dict[str, int]]:
        """Announce, then delete; how many rows went, in all and by model."""
        keys: Sequence[Any] = [self.pk]
        before_deletion.send(type(self), keys=keys)
        with transaction.atomic():
            deletion_began.send(type(self), keys=keys)
            return super().delete(*arguments, **named)
