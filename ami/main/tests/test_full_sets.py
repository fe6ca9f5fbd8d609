"""A `full` set holds every capture of its project, without anybody filling it."""

from __future__ import annotations

from pathlib import Path

import pytest
from pytest_django import DjangoAssertNumQueries

from ami.main.importing import import_folder
from ami.main.models import SourceImage, SourceImageCollection, Taxon
from ami.main.tests.factories import image_bytes, make_capture, make_capture_set, make_deployment
from ami.main.tests.people import People
from ami.ml.models import Algorithm, Classification, Detection

pytestmark = [pytest.mark.integration, pytest.mark.django_db]
SETS = "/api/v2/captures/collections/"


def full_set(people: People) -> SourceImageCollection:
    """A new set of method `full`, made over the API."""
    body = {"name": "All", "project": people.project.pk, "method": "full", "kwargs": {}}
    made = people.client("data_manager").post(SETS, body)
    assert made.status_code == 201
    return SourceImageCollection.objects.get(pk=made.json()["id"])


def listed(people: People, path: str) -> set[int]:
    """The ids on a page of a list."""
    return {item["id"] for item in people.client("data_manager").get(path).json()["results"]}


def test_a_full_set_counts_and_lists_all_captures_from_the_start(people: People) -> None:
    deployment = make_deployment(people.project)
    found, empty, new = (make_capture(deployment) for _ in range(3))
    make_capture(make_deployment(people.draft))
    detector = Algorithm.objects.create(name="D", key="d")
    Detection.objects.create(source_image=found, detection_algorithm=detector, x1=1, y1=1, x2=2, y2=2)
    Detection.objects.create(source_image=empty, detection_algorithm=detector)
    everything = full_set(people)
    some = make_capture_set(people.project, found)
    answer = people.client("anonymous").get(f"{SETS}?project_id={people.project.pk}&with_counts").json()
    counts = {
        item["id"]: [
            item[f"source_images_{kind}"] for kind in ("count", "with_detections_count", "processed_count")
        ]
        for item in answer["results"]
    }
    assert counts == {everything.pk: [3, 1, 2], some.pk: [1, 1, 1]}
    captures = f"/api/v2/captures/?project_id={people.project.pk}&collections="
    assert listed(people, f"{captures}{everything.pk}") == {found.pk, empty.pk, new.pk}
    assert listed(people, f"{captures}{some.pk}") == {found.pk}
    late = make_capture(deployment)
    assert late.pk in listed(people, f"{captures}{everything.pk}")


def test_a_new_full_set_answers_with_its_size(people: People) -> None:
    make_capture(make_deployment(people.project))
    body = {"name": "All", "project": people.project.pk}
    assert people.client("data_manager").post(SETS, body).json()["source_images_count"] == 1


def test_a_capture_names_the_full_sets_of_its_project_and_its_manual_ones(people: People) -> None:
    deployment = make_deployment(people.project)
    chosen, other = make_capture(deployment), make_capture(deployment)
    everything, some = full_set(people), make_capture_set(people.project, chosen)
    client = people.client("member")

    def sets(capture: SourceImage) -> list[int]:
        page = client.get(f"/api/v2/captures/{capture.pk}/").json()
        return [item["id"] for item in page["collections"]]

    assert sets(chosen) == [some.pk, everything.pk]
    assert sets(other) == [everything.pk]


def test_classifications_are_found_by_full_sets_too(people: People) -> None:
    algorithm = Algorithm.objects.create(name="D", key="d")
    names, moth = [], Taxon.objects.create(name="Moth")
    for project in (people.project, people.draft):
        detection = Detection.objects.create(
            source_image=make_capture(make_deployment(project)),
            detection_algorithm=algorithm,
            **{"x1": 1, "y1": 1, "x2": 2, "y2": 2},
        )
        names.append(
            Classification.objects.create(detection=detection, algorithm=algorithm, taxon=moth, score=0.5)
        )
    path = f"/api/v2/classifications/?project_id={people.project.pk}&detection__source_image__collections="
    assert listed(people, f"{path}{full_set(people).pk}") == {names[0].pk}


def test_imported_captures_are_in_the_full_set_and_in_no_manual_one(
    people: People, media: Path, tmp_path: Path
) -> None:
    everything, mine = full_set(people), make_capture_set(people.project)
    folder = tmp_path / "night"
    folder.mkdir()
    for number in range(3):
        (folder / f"{number}.jpg").write_bytes(image_bytes(color=60 * number))
    import_folder(deployment=make_deployment(people.project), folder=folder)
    captures = f"/api/v2/captures/?project_id={people.project.pk}&collections="
    assert len(listed(people, f"{captures}{everything.pk}")) == 3
    assert listed(people, f"{captures}{mine.pk}") == set()


def test_nothing_is_taken_out_of_a_full_set(people: People) -> None:
    capture = make_capture(make_deployment(people.project))
    one, client = f"{SETS}{full_set(people).pk}/", people.client("data_manager")
    assert client.post(f"{one}add/", {"source_image": capture.pk}).json()["total_images"] == 1
    refused = client.post(f"{one}remove/", {"source_image": capture.pk})
    assert (refused.status_code, client.get(one).json()["source_images_count"]) == (400, 1)


def test_a_list_of_full_sets_costs_the_same_however_long_it_is(
    people: People, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    make_capture(make_deployment(people.project))
    for _ in range(10):
        full_set(people)
    client, path = people.client("manager"), f"{SETS}?project_id={people.project.pk}&with_counts"
    client.get(path)
    with django_assert_max_num_queries(5):  # project, count, page, jobs, the caller's roles
        assert {item["source_images_count"] for item in client.get(path).json()["results"]} == {1}
