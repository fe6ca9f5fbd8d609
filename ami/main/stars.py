"""Stars: a project keeps its starred captures in one set of the method `starred`, made with the first one."""

from __future__ import annotations

from django.db import transaction

from ami.base.database import rows
from ami.main.capture_sets import add_capture, remove_capture, size_of
from ami.main.models import SourceImage, SourceImageCollection
from ami.main.models.capture_set import CaptureSetMethod

NAME = "Starred Images"


def star_set_id(project_id: int) -> int | None:
    """The set in which the stars of a project are: the oldest one of the method without parameters."""
    sets = SourceImageCollection.objects.filter(
        project_id=project_id, method=CaptureSetMethod.STARRED, kwargs={}
    )
    return sets.order_by("pk").values_list("pk", flat=True).first()


def star(capture: SourceImage) -> tuple[int, int]:
    """Star a capture: the set, and how many it holds now. Safe to repeat."""
    capture_set = _star_set(capture.project_id)
    return capture_set.pk, add_capture(capture_set, capture)


def unstar(capture: SourceImage) -> tuple[int, int]:
    """Take the star away, if it has one: the set, and how many it holds now."""
    capture_set = _star_set(capture.project_id)
    remove_capture(capture_set, capture)
    return capture_set.pk, size_of(capture_set)


@transaction.atomic
def _star_set(project_id: int) -> SourceImageCollection:
    key = star_set_id(project_id)
    if key is None:
        rows("SELECT 1 FROM main_project WHERE id = %s FOR NO KEY UPDATE", [project_id])  # one makes it
        key = star_set_id(project_id)
    if key is not None:
        return SourceImageCollection.objects.get(pk=key)
    return SourceImageCollection.objects.create(
        project_id=project_id, name=NAME, method=CaptureSetMethod.STARRED, description="What people starred."
    )
