"""A `full` set holds every capture of its project, without anybody populating it."""

from __future__ import annotations

from pathlib import Path

import pytest

from ami.main.capture_sets import add_to_full_sets
from ami.main.importing import import_folder
from ami.main.models import SourceImageCollection
from ami.main.tests.factories import image_bytes, make_capture, make_deployment, make_project

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


def test_imported_captures_are_in_the_full_set_and_in_no_manual_one(media: Path, tmp_path: Path) -> None:
    project = make_project()
    full = SourceImageCollection.objects.create(project=project, name="All", method="full")
    manual = SourceImageCollection.objects.create(project=project, name="Mine", method="manual")
    folder = tmp_path / "night"
    folder.mkdir()
    for number in range(3):
        (folder / f"{number}.jpg").write_bytes(image_bytes(color=60 * number))
    import_folder(deployment=make_deployment(project), folder=folder)
    assert (full.images.count(), manual.images.count()) == (3, 0)


def test_a_new_capture_joins_the_full_sets_of_its_own_project_once() -> None:
    mine, other = make_project(), make_project()
    sets = [SourceImageCollection.objects.create(project=p, name="All", method="full") for p in (mine, other)]
    capture = make_capture(make_deployment(mine))
    add_to_full_sets(capture)
    add_to_full_sets(capture)
    assert [capture_set.images.count() for capture_set in sets] == [1, 0]
