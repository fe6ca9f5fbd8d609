"""The grid of captures: paging, filters, and what each tile says."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django import DjangoAssertNumQueries

from ami.dashboard import walking
from ami.dashboard.tests.conftest import Visit
from ami.dashboard.tests.found import add_box, look_in_vain
from ami.dashboard.tests.reading import PageRead, read
from ami.main.models import Deployment, SourceImage, SourceImageCollection, Taxon
from ami.main.tests.factories import make_capture, make_capture_set, make_deployment
from ami.main.tests.people import People

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


@pytest.fixture
def station(people: People) -> Deployment:
    """A station of the public project, with a name."""
    return make_deployment(people.project, name="Meadow", time_zone="America/Panama")


@pytest.fixture
def full(people: People) -> SourceImageCollection:
    """The set of all captures of the project."""
    return make_capture_set(people.project, name="All", method="full")


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four captures a page, and a window of ten."""
    monkeypatch.setattr(walking, "PAGE", 4)
    monkeypatch.setattr(walking, "WINDOW", 10)


def shown(page: PageRead) -> list[int]:
    """The captures on the page, in order."""
    return [int(link.split("/")[2]) for link in page.links("/captures/")]


def fill(station: Deployment, count: int) -> list[SourceImage]:
    """New captures, the newest last."""
    return [make_capture(station) for _ in range(count)]


@pytest.mark.usefixtures("small_pages")
@pytest.mark.parametrize("kind", ["full set", "manual set", "station"])
def test_pages_show_every_capture_once_newest_first_in_both_directions(
    kind: str, visit: Visit, station: Deployment, full: SourceImageCollection, people: People
) -> None:
    captures = fill(station, 10)
    make_capture(make_deployment(people.draft))
    manual = make_capture_set(people.project, *captures)
    start = {"full set": f"/sets/{full.pk}/", "manual set": f"/sets/{manual.pk}/"}.get(
        kind, f"/stations/{station.pk}/"
    )
    newest_first = [capture.pk for capture in reversed(captures)]
    client, pages = visit("anonymous"), [read(visit("anonymous"), start)]
    while older := pages[-1].link("next"):
        pages.append(read(client, start + older))
    assert [shown(page) for page in pages] == [newest_first[:4], newest_first[4:8], newest_first[8:]]
    assert pages[0].link("prev") is None
    back = read(client, start + (pages[2].link("prev") or ""))
    assert shown(back) == newest_first[4:8]
    assert shown(read(client, start + (back.link("prev") or ""))) == newest_first[:4]
    (oldest,) = [seen.attributes["href"] for seen in pages[0].all("a") if seen.text == "Oldest"]
    last = read(client, start + oldest)
    assert (shown(last), last.link("next") is None) == (newest_first[6:], False)


@pytest.mark.usefixtures("small_pages")
def test_what_arrives_while_somebody_pages_moves_nothing(
    visit: Visit, station: Deployment, full: SourceImageCollection
) -> None:
    captures = fill(station, 6)
    older = read(visit("anonymous"), f"/sets/{full.pk}/").link("next") or ""
    fill(station, 3)
    assert shown(read(visit("anonymous"), f"/sets/{full.pk}/{older}")) == [captures[1].pk, captures[0].pk]


def test_no_page_counts_or_skips_what_it_does_not_show(
    visit: Visit, station: Deployment, full: SourceImageCollection
) -> None:
    fill(station, 3)
    for query in ("", "?show=detections", "?after=0", "?taxon=&score=0.5"):
        with CaptureQueriesContext(
            connection,
        ) as queries:
            assert visit("anonymous").get(f"/sets/{full.pk}/{query}").status_code == 200
        about = [query["sql"] for query in queries if 'FROM "main_sourceimage"' in query["sql"]]
        assert about
        for sql in about:
            assert "OFFSET" not in sql
            assert "LIMIT" in sql


def test_in_a_chosen_set_the_members_are_read_from_where_the_page_begins(
    visit: Visit, station: Deployment
) -> None:
    captures = fill(station, 3)
    chosen = make_capture_set(station.project, *captures)
    with CaptureQueriesContext(connection) as queries:
        page = read(visit("anonymous"), f"/sets/{chosen.pk}/?before={captures[1].pk}")
    assert shown(page) == [captures[0].pk]
    (sql,) = [each["sql"] for each in queries if "sourceimagecollection_images" in each["sql"]]
    assert f'"sourceimage_id" < {captures[1].pk}' in sql


@pytest.mark.usefixtures("small_pages")
def test_a_rare_find_is_looked_for_a_window_at_a_time(
    visit: Visit, station: Deployment, full: SourceImageCollection
) -> None:
    captures = fill(station, 25)
    for index in (0, 20):
        add_box(captures[index])
    client, address = visit("anonymous"), f"/sets/{full.pk}/?show=detections"
    pages = [read(client, address)]
    while older := pages[-1].link("next"):
        pages.append(read(client, f"/sets/{full.pk}/{older}"))
    assert [shown(page) for page in pages] == [[captures[20].pk], [], [captures[0].pk]]
    assert "10 captures were looked at" in pages[0].text
    assert "looked at" not in pages[2].text
    back = read(client, f"/sets/{full.pk}/{pages[2].link('prev')}")
    assert shown(back) == [captures[20].pk] or shown(back) == []


@pytest.mark.usefixtures("small_pages")
def test_a_filtered_walk_passes_every_match_once(
    visit: Visit, station: Deployment, full: SourceImageCollection
) -> None:
    captures = fill(station, 33)
    wanted = captures[::3]
    for capture in wanted:
        add_box(capture)
    found: list[int] = []
    address: str | None = "?show=detections"
    while address:
        page = read(visit("anonymous"), f"/sets/{full.pk}/{address}")
        found += shown(page)
        address = page.link("next")
    assert found == [capture.pk for capture in reversed(wanted)]


@pytest.fixture
def mixed(station: Deployment) -> dict[str, SourceImage]:
    """Captures on which different things happened."""
    made = {name: make_capture(station) for name in ("moth", "beetle", "unnamed", "nothing", "new")}
    add_box(made["moth"], (0, 0, 9, 9), ("Noctua pronuba", 0.9))
    add_box(made["moth"], (9, 9, 20, 20), ("Moth", 0.3))
    add_box(made["beetle"], (0, 0, 9, 9), ("Beetle", 0.6))
    add_box(made["unnamed"])
    look_in_vain(made["nothing"])
    made["elsewhere"] = make_capture(make_deployment(station.project, name="Forest"))
    add_box(made["elsewhere"], (0, 0, 9, 9), ("Beetle", 0.2))
    return made


@pytest.mark.parametrize("kind", ["full", "manual"])
@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", {"moth", "beetle", "unnamed", "nothing", "new", "elsewhere"}),
        ("show=detections", {"moth", "beetle", "unnamed", "elsewhere"}),
        ("show=nothing", {"nothing"}),
        ("show=processed", {"moth", "beetle", "unnamed", "nothing", "elsewhere"}),
        ("show=new", {"new"}),
        ("score=0.5", {"moth", "beetle"}),
        ("taxon=Beetle", {"beetle", "elsewhere"}),
        ("taxon=beetle&score=0.5", {"beetle"}),
        ("taxon=moth&score=0.5", set()),
        ("station=Meadow", {"moth", "beetle", "unnamed", "nothing", "new"}),
        ("station=Forest&taxon=Beetle", {"elsewhere"}),
    ],
)
def test_filters_choose_captures(
    kind: str, query: str, names: set[str], visit: Visit, mixed: dict[str, SourceImage]
) -> None:
    project = mixed["moth"].project
    chosen = make_capture_set(project, *(mixed.values() if kind == "manual" else ()), method=kind)
    for station in Deployment.objects.filter(project=project):
        query = query.replace(station.name, str(station.pk))
    page = read(visit("anonymous"), f"/sets/{chosen.pk}/?{query}")
    assert page.status == 200
    assert set(shown(page)) == {mixed[name].pk for name in names}


def test_a_filter_stays_when_one_turns_the_page_or_opens_a_capture(
    visit: Visit, station: Deployment, full: SourceImageCollection, small_pages: None
) -> None:
    for _ in range(5):
        add_box(make_capture(station), (0, 0, 5, 5), ("Beetle", 0.7))
    page = read(visit("anonymous"), f"/sets/{full.pk}/?taxon=Beetle&score=0.5")
    assert "taxon=Beetle" in (page.link("next") or "")
    link = page.links("/captures/")[0]
    assert "taxon=Beetle" in link
    assert "score=0.5" in link
    assert f"set={full.pk}" in link


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("taxon=Unicorn", "No taxon is called “Unicorn”."),
        ("score=high", "Enter a number."),
        ("score=1.5", "less than or equal to 1"),
        ("score=nan", "Enter a number."),
        ("show=everything", "not one of the available choices"),
        ("station=999999999", "not one of the available choices"),
        ("station=x", "not one of the available choices"),
        ("before=x", "before: Enter a whole number."),
        (f"after={10**30}", "after: Ensure this value is less than"),
        ("taxon=%00", "Null characters are not allowed."),
    ],
)
def test_a_filter_that_makes_no_sense_is_a_sentence_and_no_list(
    query: str, sentence: str, visit: Visit, station: Deployment, full: SourceImageCollection
) -> None:
    fill(station, 1)
    page = read(visit("anonymous"), f"/sets/{full.pk}/?{query}")
    assert (page.status, shown(page)) == (400, [])
    assert sentence in page.text


def test_stations_of_other_projects_cannot_be_chosen(
    visit: Visit, people: People, full: SourceImageCollection
) -> None:
    hidden = make_deployment(people.draft, name="Hidden station")
    page = read(visit("anonymous"), f"/sets/{full.pk}/?station={hidden.pk}")
    assert (page.status, "Hidden station" in page.html) == (400, False)


def test_a_tile_says_when_where_and_what(
    visit: Visit, mixed: dict[str, SourceImage], full: SourceImageCollection
) -> None:
    SourceImage.objects.filter(pk=mixed["moth"].pk).update(timestamp="2026-06-02T03:04:05Z")
    SourceImage.objects.filter(pk=mixed["new"].pk).update(timestamp=None)
    page = read(visit("anonymous"), f"/sets/{full.pk}/")
    tiles = {
        int(seen.attributes["href"].split("/")[2]): " ".join(seen.text.split())
        for seen in page.all("a")
        if seen.attributes.get("href", "").startswith("/captures/")
    }
    assert tiles[mixed["moth"].pk] == "1 Jun 2026, 22:04:05 Meadow 2 detections"
    assert tiles[mixed["beetle"].pk].endswith("1 detection")
    assert tiles[mixed["nothing"].pk].endswith("nothing found")
    assert tiles[mixed["new"].pk] == "time not known Meadow not processed yet"


def test_pictures_elsewhere_are_shown_from_there_when_they_come_into_view(
    visit: Visit, station: Deployment, full: SourceImageCollection
) -> None:
    make_capture(station, path="a b.jpg", public_base_url="https://images.example.org/x")
    (image,) = read(visit("anonymous"), f"/sets/{full.pk}/").all("img")
    assert image.attributes["src"] == "https://images.example.org/x/a%20b.jpg"
    assert image.attributes["loading"] == "lazy"
    assert image.attributes["width"] == "320"


def test_a_link_that_is_no_web_address_is_no_picture(
    visit: Visit, station: Deployment, full: SourceImageCollection
) -> None:
    capture = make_capture(station, path="x", public_base_url="javascript://host/%0aalert(1)//")
    for address in (f"/sets/{full.pk}/", f"/captures/{capture.pk}/"):
        assert "javascript:" not in read(visit("anonymous"), address).html


def test_a_page_costs_the_same_however_much_is_on_it(
    visit: Visit,
    station: Deployment,
    full: SourceImageCollection,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    for capture in fill(station, 20):
        for number in range(3):
            add_box(capture, (number, 0, 50, 50), ("Moth", 0.5), (f"Moth {number}", 0.4))
    client = visit("member")
    address = f"/sets/{full.pk}/?show=detections&station={station.pk}&taxon=Moth&score=0.1"
    # session, person, set, stations, roles, taxon with those below, window, page, counts, names
    with django_assert_max_num_queries(10):
        assert len(shown(read(client, address))) == 20
    assert Taxon.objects.count() > 3
