"""The page of a capture: its picture with boxes, what they were named, what is known, and the way on."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from pytest_django import DjangoAssertNumQueries

from ami.dashboard import boxes
from ami.dashboard.tests.conftest import Visit
from ami.dashboard.tests.found import add_box, look_in_vain
from ami.dashboard.tests.reading import PageRead, read
from ami.jobs.models import Job, JobTask
from ami.jobs.states import TaskState
from ami.main.models import Deployment, SourceImage
from ami.main.tests.factories import NIGHT, make_capture, make_capture_set, make_deployment
from ami.main.tests.people import People

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


@pytest.fixture
def station(people: People) -> Deployment:
    """A station of the public project."""
    return make_deployment(people.project, name="Meadow", time_zone="Europe/Copenhagen")


@pytest.fixture
def capture(station: Deployment) -> SourceImage:
    """A capture of 400 x 300 pixels."""
    return make_capture(station, width=400, height=300, size=2_000_000, timestamp=NIGHT)


def opened(visit: Visit, capture: SourceImage, query: str = "") -> PageRead:
    """The page, as anybody sees it."""
    return read(visit("anonymous"), f"/captures/{capture.pk}/{query}")


def rectangles(page: PageRead) -> list[tuple[float, ...]]:
    """The boxes that are drawn: x, y, width, height."""
    drawn = [seen.attributes for seen in page.all("rect") if "class" not in seen.attributes]
    return [tuple(float(each[name]) for name in ("x", "y", "width", "height")) for each in drawn]


def rows(page: PageRead) -> list[str]:
    """The rows of the table, in words."""
    return [" ".join(seen.text.split()) for seen in page.all("tr") if "data-box" in seen.attributes]


def test_boxes_are_drawn_in_the_pixels_of_the_picture(visit: Visit, capture: SourceImage) -> None:
    add_box(capture, (10, 20, 110, 70))
    add_box(capture, (0.25, 299.96, 400, 300))
    page = opened(visit, capture)
    (drawing,) = page.all("svg", id="boxes")
    assert drawing.attributes["viewbox"] == "0 0 400 300"
    assert drawing.attributes["preserveaspectratio"] == "none"
    assert rectangles(page) == [(10, 20, 100, 50), (0.2, 300.0, 399.8, 0.0)]


def test_a_box_given_from_its_other_corner_is_drawn_all_the_same(visit: Visit, capture: SourceImage) -> None:
    add_box(capture, (110, 70, 10, 20))
    assert rectangles(opened(visit, capture)) == [(10, 20, 100, 50)]


def test_numbers_of_large_pictures_are_written_without_separators(visit: Visit, station: Deployment) -> None:
    capture = make_capture(station, width=12000, height=9000)
    add_box(capture, (10000, 8000, 11500.5, 8999.25))
    page = opened(visit, capture)
    assert page.all("svg", id="boxes")[0].attributes["viewbox"] == "0 0 12000 9000"
    assert rectangles(page) == [(10000, 8000, 1500.5, 999.2)]
    assert "12,000 × 9,000 pixels" in page.text  # noqa: RUF001


def test_where_the_size_is_not_known_the_browser_measures(visit: Visit, station: Deployment) -> None:
    capture = make_capture(station, width=None, height=None)
    add_box(capture)
    page = opened(visit, capture)
    (drawing,) = page.all("svg", id="boxes")
    assert "viewbox" not in drawing.attributes
    assert drawing.attributes["class"] == "unmeasured"
    assert rectangles(page) == [(10, 20, 100, 50)]
    assert not page.all("svg", klass="crop")


def test_the_table_says_name_score_and_algorithm_the_surest_first(visit: Visit, capture: SourceImage) -> None:
    unnamed = add_box(capture, (0, 0, 5, 5))
    moth = add_box(capture, (1, 1, 20, 20), ("Moth", 0.523), ("Noctua", 0.41))
    beetle = add_box(capture, (2, 2, 30, 30), ("Beetle", 0.977))
    page = opened(visit, capture)
    assert rows(page) == [
        "1 Beetle 0.98 Namer v1 found by Finder v1",
        "2 Moth Noctua 0.41, Namer v1 0.52 Namer v1 found by Finder v1",
        "3 not named - found by Finder v1",
    ]
    for box in (unnamed, moth, beetle):
        assert page.all("tr", id=f"row-{box.pk}")
        assert f"#box-{box.pk}" in page.links("#box-")
        assert page.all("a", id=f"box-{box.pk}", href=f"#row-{box.pk}")


def test_a_name_that_is_final_comes_before_one_that_is_surer(visit: Visit, capture: SourceImage) -> None:
    box = add_box(capture, (1, 1, 20, 20), ("Moth", 0.99), ("Noctua", 0.6))
    box.classifications.filter(taxon__name="Moth").update(terminal=False)
    assert rows(opened(visit, capture))[0].startswith("1 Noctua Moth 0.99")


@pytest.mark.parametrize(
    ("query", "names", "words"),
    [
        ("?score=0.5", ["Beetle"], "1 of 3 detections"),
        ("?taxon=moth", ["Moth"], "1 of 3 detections"),
        ("?taxon=Moth&score=0.5", [], "No detection is like that."),
        ("", ["Beetle", "Moth", "not named"], "3 detections"),
    ],
)
def test_boxes_are_chosen_by_score_and_taxon(
    query: str, names: list[str], words: str, visit: Visit, capture: SourceImage
) -> None:
    add_box(capture, (0, 0, 5, 5))
    add_box(capture, (1, 1, 20, 20), ("Moth", 0.4))
    add_box(capture, (2, 2, 30, 30), ("Beetle", 0.9))
    page = opened(visit, capture, query)
    assert [row.split(" ", 1)[1].split(" 0.")[0].split(" -")[0] for row in rows(page)] == names
    assert len(rectangles(page)) == len(names)
    assert words in page.text


@pytest.mark.parametrize("query", ["?score=high", "?taxon=Unicorn", "?score=-1"])
def test_a_filter_that_makes_no_sense_is_a_sentence(query: str, visit: Visit, capture: SourceImage) -> None:
    for number in range(2):
        page = opened(visit, capture, query)
        assert (page.status, rows(page)) == (400, [])
        assert page.all("span", role="alert")
        add_box(capture, (number, 0, 5, 5))


def test_nothing_found_and_not_looked_at_are_told_apart(visit: Visit, capture: SourceImage) -> None:
    assert "No algorithm has looked at this capture yet." in opened(visit, capture).text
    look_in_vain(capture)
    assert "looked at this capture and found nothing" in opened(visit, capture).text


def test_a_swarm_is_cut_off_and_says_so(
    visit: Visit, capture: SourceImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(boxes, "MOST", 3)
    for number in range(5):
        add_box(capture, (number, 0, 50, 50))
    assert len(rows(opened(visit, capture))) == 3


def test_earlier_and_later_follow_time_at_the_station(visit: Visit, station: Deployment) -> None:
    minutes = {"late": 30, "early": 10, "twin": 20, "middle": 20}
    made = {
        name: make_capture(station, timestamp=NIGHT + timedelta(minutes=minute))
        for name, minute in minutes.items()
    }
    make_capture(make_deployment(station.project), timestamp=NIGHT + timedelta(minutes=15))
    order = [made[name].pk for name in ("early", "twin", "middle", "late")]
    walked, link = [], f"/captures/{order[0]}/"
    while link:
        walked.append(int(link.split("/")[2]))
        link = read(visit("anonymous"), link).link("next") or ""
    assert walked == order
    assert opened(visit, made["middle"]).link("prev") == f"/captures/{made['twin'].pk}/"
    assert opened(visit, made["early"]).link("prev") is None


@pytest.mark.parametrize("method", ["manual", "full"])
def test_in_a_set_one_walks_through_the_set(method: str, visit: Visit, station: Deployment) -> None:
    other = make_deployment(station.project)
    first, skipped, second = make_capture(station), make_capture(station), make_capture(other)
    chosen = make_capture_set(
        station.project, *((first, second) if method == "manual" else ()), method=method
    )
    later = second if method == "manual" else skipped
    page = opened(visit, first, f"?set={chosen.pk}&score=0.5")
    assert page.link("next") == f"/captures/{later.pk}/?set={chosen.pk}&score=0.5"
    assert f"/sets/{chosen.pk}/" in page.links("/sets/")


@pytest.mark.parametrize("query", ["?set=x", "?set=999999", f"?set={10**30}", "?set=-1"])
def test_a_set_that_is_none_is_passed_over(query: str, visit: Visit, capture: SourceImage) -> None:
    page = opened(visit, capture, query)
    assert page.status == 200
    assert f"/stations/{capture.deployment_id}/" in page.links("/stations/")


def test_a_capture_that_left_the_set_is_walked_through_its_station(
    visit: Visit, capture: SourceImage, station: Deployment
) -> None:
    later = make_capture(station, timestamp=NIGHT + timedelta(hours=1))
    chosen = make_capture_set(capture.project, later)
    assert (opened(visit, capture, f"?set={chosen.pk}").link("next") or "").startswith(
        f"/captures/{later.pk}/"
    )


def test_captures_without_a_time_are_walked_by_their_id(visit: Visit, station: Deployment) -> None:
    first, timed, second = (
        make_capture(station, timestamp=None),
        make_capture(station),
        make_capture(station, timestamp=None),
    )
    assert opened(visit, first).link("next") == f"/captures/{second.pk}/"
    assert opened(visit, timed).link("next") is None


def test_a_capture_without_station_picture_or_size_has_a_page(visit: Visit, people: People) -> None:
    capture = SourceImage.objects.create(project=people.project)
    page = opened(visit, capture)
    assert page.status == 200
    assert "no picture that can be shown" in page.text


def test_facts_are_told_in_the_time_of_the_station(visit: Visit, capture: SourceImage) -> None:
    text = opened(visit, capture).text
    assert "2 Jun 2026, 00:00:00 (CEST)" in text
    assert "400 × 300 pixels, 1.9\xa0MB".replace("\xa0", " ") in text.replace("\xa0", " ")  # noqa: RUF001
    assert capture.path in text


def make_job(capture: SourceImage, name: str, **task: Any) -> Job:
    """A job that had the capture."""
    job = Job.objects.create(project=capture.project, name=name)
    if task:
        JobTask.objects.create(job=job, image_id=capture.pk, position=1, run=1, **task)
    return job


def test_jobs_that_had_the_capture_are_listed_with_what_became_of_it(
    visit: Visit, capture: SourceImage
) -> None:
    make_job(capture, "Found", status=TaskState.PROCESSED, detections=2)
    make_job(
        capture, "Failed", status=TaskState.FAILED, error_code="unreadable_image", error_text="Secret words"
    )
    make_job(capture, "Open", status=TaskState.PENDING)
    make_job(capture, "Other")
    old = make_job(capture, "Ledger gone")
    add_box(capture, job_id=old.pk)
    text = opened(visit, capture).text
    assert "Found created processed, 2 detections" in text
    assert "failed: The image could not be read" in text
    assert "Open created waiting" in text
    assert "Ledger gone created processed" in text
    assert "Other" not in text
    assert "Secret words" not in text


def test_the_page_costs_the_same_however_much_was_found(
    visit: Visit, capture: SourceImage, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    chosen = make_capture_set(capture.project, capture)
    for number in range(30):
        add_box(capture, (number, 0, 50, 50), ("Moth", 0.5), (f"Moth {number}", 0.4))
        make_job(capture, f"Job {number}", status=TaskState.PROCESSED)
    client = visit("member")
    # session, person, capture, taxon, boxes, their names, set, membership, neighbours twice, count,
    # suggested names, jobs twice
    with django_assert_max_num_queries(14):
        assert len(rows(read(client, f"/captures/{capture.pk}/?set={chosen.pk}&taxon=Moth&score=0.1"))) == 30
