"""Which captures a set holds, read and written by set-based statements, however many there are.

A `full` set holds every capture of its project at any moment: that is a rule, and no row says it. The rows of
the many-to-many table are the members of `manual` sets, and of no other.
"""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.db.models import Case, Q, QuerySet, When

from ami.base.database import execute, rows
from ami.base.errors import InvalidInput
from ami.main.models import SourceImage, SourceImageCollection
from ami.main.models.capture_set import CaptureSetMethod
from ami.main.related import count_of

NAMED_IDS = 3
"""Unknown captures that an error names."""

_STRANGERS = """
SELECT named.id, count(*) OVER () FROM unnest(%(ids)s::bigint[]) WITH ORDINALITY AS named(id, place)
LEFT JOIN main_sourceimage c ON c.id = named.id AND c.project_id = %(project)s
WHERE c.id IS NULL ORDER BY named.place LIMIT %(most)s
"""
_REMOVE_OTHERS = """
DELETE FROM main_sourceimagecollection_images
WHERE sourceimagecollection_id = %(set)s AND NOT sourceimage_id = ANY(%(ids)s::bigint[])
"""
_ADD_CHOSEN = """
INSERT INTO main_sourceimagecollection_images (sourceimagecollection_id, sourceimage_id)
SELECT %(set)s, id FROM main_sourceimage WHERE project_id = %(project)s AND id = ANY(%(ids)s::bigint[])
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


def check_captures(project_id: int, parameters: dict[str, Any]) -> None:
    """Raise InvalidInput, with the first few of them, if `image_ids` are not all captures of the project.

    Captures of other projects and captures that do not exist are told apart by nothing.
    """
    ids = list(dict.fromkeys(parameters.get("image_ids", [])))
    if not ids:
        return
    strangers = rows(_STRANGERS, {"ids": ids, "project": project_id, "most": NAMED_IDS})
    if not strangers:
        return
    names, more = [str(row[0]) for row in strangers], strangers[0][1] - len(strangers)
    if more:
        names.append(f"{more:,} more")
    if len(names) == 1:
        raise InvalidInput(f"The project has no capture {names[0]}.")
    raise InvalidInput(f"The project has no captures {', '.join(names[:-1])} and {names[-1]}.")


def write_members(capture_set: SourceImageCollection) -> None:
    """Make a set hold exactly the captures of its project that its parameters name, if it is `manual`.

    Three statements for any number of captures. Safe to run twice. Call it in the transaction that stored the
    set: its row is what makes two writers wait for each other.
    """
    chosen = capture_set.kwargs.get("image_ids", []) if _is_manual(capture_set) else []
    arguments = {"set": capture_set.pk, "project": capture_set.project_id, "ids": chosen}
    with transaction.atomic():
        execute(_REMOVE_OTHERS, arguments)
        if chosen:
            execute(_ADD_CHOSEN, arguments)


def in_set(capture_set: SourceImageCollection, path: str = "") -> Q:
    """The condition that a capture is in a set. `path`: how the ORM gets to the capture, ending in `__`."""
    if capture_set.holds_whole_project:
        return Q(**{f"{path}project_id": capture_set.project_id})
    return Q(**{f"{path}capture_sets": capture_set})


def sets_of(capture: SourceImage) -> QuerySet[SourceImageCollection]:
    """The sets that hold a capture, newest first."""
    members = SourceImageCollection.images.through.objects.filter(sourceimage_id=capture.pk)
    return SourceImageCollection.objects.filter(
        Q(holds_everything(), project_id=capture.project_id)
        | Q(~holds_everything(), pk__in=members.values("sourceimagecollection_id"))
    ).order_by("-pk")


def holds_everything() -> Q:
    """The condition that a set holds every capture of its project."""
    return Q(method=CaptureSetMethod.FULL, kwargs={})


def size_of_set(condition: Any = None) -> Case:
    """How many captures a set holds, of those that meet the condition: to annotate a query for sets with."""
    captures = SourceImage.objects.filter(condition if condition is not None else Q())
    return Case(
        When(holds_everything(), then=count_of(captures, "project_id", of="project_id")),
        default=count_of(captures, "capture_sets"),
    )


def add_capture(capture_set: SourceImageCollection, capture: SourceImage) -> int:
    """Put one capture of the same project into a set; returns the size of the set."""
    if capture.project_id != capture_set.project_id:
        raise InvalidInput("The capture belongs to another project.")
    if not capture_set.holds_whole_project:
        capture_set.images.add(capture)
    return _size(capture_set)


def remove_capture(capture_set: SourceImageCollection, capture: SourceImage) -> int:
    """Take one capture out of a set; returns the size of the set. Raises InvalidInput for a `full` set."""
    if capture_set.holds_whole_project:
        raise InvalidInput(
            "This set always holds every capture of its project; choose captures in a set of method 'manual'."
        )
    capture_set.images.remove(capture)
    return _size(capture_set)


def _size(capture_set: SourceImageCollection) -> int:
    return SourceImage.objects.filter(in_set(capture_set)).count()


def _is_manual(capture_set: SourceImageCollection) -> bool:
    return capture_set.method == CaptureSetMethod.MANUAL
