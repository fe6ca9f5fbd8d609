"""The list of projects, and the page of one: what there is, and how many."""

from __future__ import annotations

import pytest
from pytest_django import DjangoAssertNumQueries

from ami.dashboard import counts
from ami.dashboard.tests.conftest import Visit
from ami.dashboard.tests.reading import read
from ami.main.tests.factories import make_capture, make_capture_set, make_deployment, make_project
from ami.main.tests.people import People

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


def test_a_project_shows_its_stations_and_sets_with_counts(visit: Visit, people: People) -> None:
    meadow, forest = (make_deployment(people.project, name=name) for name in ("Meadow", "Forest"))
    captures = [make_capture(meadow) for _ in range(3)]
    make_capture(make_deployment(people.draft))
    some = make_capture_set(people.project, *captures[:1], name="Some")
    everything = make_capture_set(people.project, name="All", method="full")
    page = read(visit("anonymous"), f"/projects/{people.project.pk}/")
    cards = {seen.text.split()[0]: " ".join(seen.text.split()) for seen in page.all("li")}
    assert cards["Meadow"] == "Meadow 3 captures"
    assert cards["Forest"] == "Forest 0 captures"
    assert cards["Some"].startswith("Some 1 capture ·")
    assert cards["All"].startswith("All 3 captures ·")
    assert {f"/sets/{some.pk}/", f"/sets/{everything.pk}/"} == set(page.links("/sets/"))
    assert [int(link.split("/")[2]) for link in page.links("/captures/")] == [
        capture.pk for capture in reversed(captures)
    ]
    assert set(page.links("/stations/")) == {f"/stations/{meadow.pk}/", f"/stations/{forest.pk}/"}


def test_the_list_shows_how_much_there_is(visit: Visit, people: People) -> None:
    make_capture(make_deployment(people.project))
    assert "Open 1 capture · 1 station" in read(visit("anonymous"), "/projects/").text


def test_an_empty_project_says_so(visit: Visit, people: People) -> None:
    text = read(visit("anonymous"), f"/projects/{people.project.pk}/").text
    assert "There is no station yet." in text
    assert "There is no capture set yet." in text


def test_large_numbers_are_not_counted_to_the_end(
    visit: Visit, people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counts, "MOST", 2)
    station = make_deployment(people.project, name="Meadow")
    for _ in range(2):
        make_capture(station)
    assert "Meadow 2 captures" in read(visit("anonymous"), f"/projects/{people.project.pk}/").text
    for _ in range(3):
        make_capture(station)
    assert "Meadow more than 2 captures" in read(visit("anonymous"), f"/projects/{people.project.pk}/").text


def test_both_pages_cost_the_same_however_much_is_on_them(
    visit: Visit, people: People, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(10):
        make_project(name=f"More {number}")
        capture = make_capture(make_deployment(people.project))
        make_capture_set(people.project, capture)
        make_capture_set(people.project, method="full")
    client = visit("member")
    with django_assert_max_num_queries(4):  # session, person, projects, captures
        assert len(read(client, "/projects/").links("/projects/")) >= 12
    # session, person, project, stations, sets, captures of stations, of the project, of sets, the newest
    # captures, what was found on them, and the person's roles
    with django_assert_max_num_queries(11):
        assert len(read(client, f"/projects/{people.project.pk}/").links("/sets/")) == 20
