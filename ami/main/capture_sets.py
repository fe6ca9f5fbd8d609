"""Filling capture sets: set-based statements, however many captures there are."""

from __future__ import annotations

from typing import Any

from django.db import connection, transaction

from ami.base.errors import InvalidInput
from ami.main.models import SourceImage, SourceImageCollection
from ami.main.models.capture_set import CaptureSetMethod

_FILL_FULL = """
INSERT INTO main_sourceimagecollection_images (sourceimagecollection_id, sourceimage_id)
SELECT %(set)s, id FROM main_sourceimage WHERE project_id = %(project)s
ON CONFLICT DO NOTHING
"""
_FILL_MANUAL = """
INSERT INTO main_sourceimagecollection_images (sourceimagecollection_id, sourceimage_id)
SELECT %(set)s, id FROM main_sourceimage WHERE project_id = %(project)s AND id = ANY(%(ids)s)
ON CONFLICT DO NOTHING
"""


def check_parameters(method: str, parameters: Any) -> dict[str, Any]:
    """The parameters of a method, if they make sense. Raises InvalidInput.

    `full` takes none; `manual` takes `image_ids`, a list of capture ids.
    """
    if not isinstance(parameters, dict):
        raise InvalidInput("The parameters of a capture set are an object.")
    known = {"image_ids"} if method == CaptureSetMethod.MANUAL else set()
    if strangers := sorted(set(parameters) - known):
        raise InvalidInput(f"The method {method!r} takes no parameter {strangers[0]!r}.")
    ids = parameters.get("image_ids", [])
    if not isinstance(ids, list) or not all(type(item) is int and 0 < item < 2**63 for item in ids):
        raise InvalidInput("'image_ids' is a list of capture ids.")
    return parameters


def populate(capture_set: SourceImageCollection) -> int:
    """Fill a set by its method; returns how many captures were new to it. Safe to run twice.

    `full` takes every capture of the project, `manual` those of its `image_ids` that are in the project; what
    is in the set already stays.
    """
    statement = _FILL_MANUAL if capture_set.method == CaptureSetMethod.MANUAL else _FILL_FULL
    arguments = {
        "set": capture_set.pk,
        "project": capture_set.project_id,
        "ids": capture_set.kwargs.get("image_ids", []),
    }
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement, arguments)
        added = int(cursor.rowcount)
        capture_set.save(update_fields=["updated_at"])
    return added


def refresh_full_sets(project_id: int) -> None:
    """Bring the `full` sets of a project up to date after captures arrived. Safe to run twice."""
    for capture_set in SourceImageCollection.objects.filter(
        project_id=project_id, method=CaptureSetMethod.FULL, kwargs={}
    ).order_by("pk"):
        populate(capture_set)


def add_to_full_sets(capture: SourceImage) -> None:
    """Put one new capture into the `full` sets of its project. Safe to run twice."""
    with connection.cursor() as cursor:
        cursor.execute(
            """INSERT INTO main_sourceimagecollection_images (sourceimagecollection_id, sourceimage_id)
            SELECT id, %s FROM main_sourceimagecollection
            WHERE project_id = %s AND method = 'full' AND kwargs = '{}'::jsonb ON CONFLICT DO NOTHING""",
            [capture.pk, capture.project_id],
        )


def add_capture(capture_set: SourceImageCollection, capture: SourceImage) -> int:
    """Put one capture of the same project into a set; returns the size of the set."""
    if capture.project_id != capture_set.project_id:
        raise InvalidInput("The capture belongs to another project.")
    capture_set.images.add(capture)
    return capture_set.images.count()


def remove_capture(capture_set: SourceImageCollection, capture: SourceImage) -> int:
    """Take one capture out of a set; returns the size of the set."""
    capture_set.images.remove(capture)
    return capture_set.images.count()
