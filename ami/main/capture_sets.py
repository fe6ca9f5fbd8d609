"""Which captures a set holds, read and written by set-based statements, however many there are.

A `full` set without parameters holds every capture of its project at any moment: that is a rule, and no row
says it. The rows of the many-to-many table are the members of all other sets: those of a `manual` one are
written when it is stored, those of the rest when it is populated (`ami.main.sampling`).
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
LEFT JOIN ({source}) c ON c.id = named.id
WHERE c.id IS NULL ORDER BY named.place LIMIT %(most)s
"""
_DEPLOYMENTS = ("deployment", "SELECT id FROM main_deployment WHERE project_id = %(project)s")
_EVENTS = (
    "event",
    "SELECT e.id FROM main_event e JOIN main_deployment d ON d.id = e.deployment_id "
    "WHERE d.project_id = %(project)s",
)
_NAMED = {
    "image_ids": ("capture", "SELECT id FROM main_sourceimage WHERE project_id = %(project)s"),
    "deployment_ids": _DEPLOYMENTS,
    "deployment_id": _DEPLOYMENTS,
    "event_ids": _EVENTS,
    "exclude_events": _EVENTS,
    "research_site_ids": (
        "site",
        "SELECT id FROM main_site WHERE COALESCE(project_id, %(project)s) = %(project)s",
    ),
}
_REMOVE_OTHERS = """
DELETE FROM main_sourceimagecollection_images
WHERE sourceimagecollection_id = %(set)s AND NOT sourceimage_id = ANY(%(ids)s::bigint[])
"""
_ADD_CHOSEN = """
INSERT INTO main_sourceimagecollection_images (sourceimagecollection_id, sourceimage_id)
SELECT %(set)s, id FROM main_sourceimage WHERE project_id = %(project)s AND id = ANY(%(ids)s::bigint[])
ON CONFLICT DO NOTHING
"""


def check_named(project_id: int, parameters: dict[str, Any]) -> None:
    """Raise InvalidInput, with the first few of them, if something that is named is not of the project.

    What is of other projects and what does not exist is told apart by nothing.
    """
    for name, (thing, source) in _NAMED.items():
        value = parameters.get(name)
        if value is None:
            continue
        ids = list(dict.fromkeys(value if isinstance(value, list) else [value]))
        sql = _STRANGERS.format(source=source)
        strangers = rows(sql, {"ids": ids, "project": project_id, "most": NAMED_IDS}) if ids else []
        if strangers:
            raise InvalidInput(_unknown(thing, [str(row[0]) for row in strangers], strangers[0][1]))


def _unknown(thing: str, names: list[str], count: int) -> str:
    if more := count - len(names):
        names.append(f"{more:,} more")
    if len(names) == 1:
        return f"The project has no {thing} {names[0]}."
    return f"The project has no {thing}s {', '.join(names[:-1])} and {names[-1]}."


def write_members(capture_set: SourceImageCollection) -> None:
    """Make a `manual` set hold exactly the captures that its parameters name; take the rows of a `full` one.

    A set of another method keeps what it holds until it is populated. Three statements for any number of
    captures. Safe to run twice. Call it in the transaction that stored the set: its row is what makes two
    writers wait for each other.
    """
    is_manual = capture_set.method == CaptureSetMethod.MANUAL
    if not is_manual and not capture_set.holds_whole_project:
        return
    chosen = capture_set.kwargs.get("image_ids", []) if is_manual else []
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
    return size_of(capture_set)


def remove_capture(capture_set: SourceImageCollection, capture: SourceImage) -> int:
    """Take one capture out of a set; returns the size of the set. Raises InvalidInput for a `full` set."""
    if capture_set.holds_whole_project:
        raise InvalidInput(
            "This set always holds every capture of its project; choose captures in a set of method 'manual'."
        )
    capture_set.images.remove(capture)
    return size_of(capture_set)


def size_of(capture_set: SourceImageCollection) -> int:
    """How many captures a set holds."""
    return SourceImage.objects.filter(in_set(capture_set)).count()
