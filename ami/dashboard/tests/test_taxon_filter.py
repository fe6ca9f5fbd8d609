"""The filter by taxon finds what belongs to it, however deep the tree is, and whatever its size."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from ami.base.database import execute, rows
from ami.dashboard import names as naming
from ami.dashboard.forms import CaptureFilter
from ami.dashboard.scopes import scope_of_station
from ami.dashboard.tests.conftest import Visit
from ami.dashboard.tests.found import add_box
from ami.dashboard.tests.reading import PageRead, read
from ami.dashboard.walking import walk
from ami.main.models import Deployment, SourceImage, Taxon
from ami.main.taxonomy import named_or_below
from ami.main.tests.factories import make_capture, make_deployment
from ami.main.tests.people import People

pytestmark = [pytest.mark.integration, pytest.mark.django_db]

TREE = {
    "Lepidoptera": None,
    "Noctuidae": "Lepidoptera",
    "Noctua": "Noctuidae",
    "Noctua pronuba": "Noctua",
    "Noctua comes": "Noctua",
    "Coleoptera": None,
    "Carabus": "Coleoptera",
}
SEEN = ("Lepidoptera", "Noctua", "Noctua pronuba", "Noctua comes", "Carabus")


@pytest.fixture
def station(people: People) -> Deployment:
    """A station with a capture for each taxon that was seen."""
    taxa: dict[str, Taxon] = {}
    for name, parent in TREE.items():
        taxa[name] = Taxon.objects.create(name=name, parent=taxa.get(parent or ""))
    station = make_deployment(people.project)
    for name in SEEN:
        add_box(make_capture(station, path=name), (0, 0, 9, 9), (name, 0.8))
    return station


@pytest.fixture(params=["few taxa", "many taxa"])
def either_way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways to search for captures."""
    if request.param == "many taxa":
        monkeypatch.setattr(naming, "FEW", 0)


def shown(page: PageRead) -> set[str]:
    """The captures on the page, by their paths."""
    keys = [int(link.split("/")[2]) for link in page.links("/captures/")]
    return set(SourceImage.objects.filter(pk__in=keys).values_list("path", flat=True))


@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize(
    ("taxon", "found"),
    [
        ("Noctua pronuba", {"Noctua pronuba"}),
        ("Noctua", {"Noctua", "Noctua pronuba", "Noctua comes"}),
        ("noctuidae", {"Noctua", "Noctua pronuba", "Noctua comes"}),
        ("Lepidoptera", {"Lepidoptera", "Noctua", "Noctua pronuba", "Noctua comes"}),
        ("Coleoptera", {"Carabus"}),
    ],
)
def test_a_taxon_finds_what_belongs_to_it(
    taxon: str, found: set[str], visit: Visit, station: Deployment
) -> None:
    assert shown(read(visit("anonymous"), f"/stations/{station.pk}/?taxon={quote(taxon)}")) == found
    sure = read(visit("anonymous"), f"/stations/{station.pk}/?taxon={quote(taxon)}&score=0.9")
    assert shown(sure) == set()


@pytest.mark.usefixtures("either_way")
def test_boxes_of_a_capture_are_found_by_what_they_belong_to(visit: Visit, station: Deployment) -> None:
    capture = SourceImage.objects.get(path="Carabus")
    add_box(capture, (9, 9, 20, 20), ("Noctua comes", 0.7))
    text = read(visit("anonymous"), f"/captures/{capture.pk}/?taxon=Lepidoptera").text
    assert "1 of 2 detections" in text
    assert "Noctua comes 0.70" in text
    assert "Carabus 0.80" not in text


@pytest.mark.usefixtures("either_way")
def test_taxa_that_are_their_own_ancestors_are_found_all_the_same(visit: Visit, station: Deployment) -> None:
    Taxon.objects.filter(name="Lepidoptera").update(parent=Taxon.objects.get(name="Noctua"))
    Taxon.objects.filter(name="Coleoptera").update(parent=Taxon.objects.get(name="Coleoptera"))
    for taxon, count in (("Noctua", 4), ("Lepidoptera", 4), ("Coleoptera", 1)):
        page = read(visit("anonymous"), f"/stations/{station.pk}/?taxon={taxon}")
        assert (page.status, len(shown(page))) == (200, count)


def test_the_form_suggests_what_is_there_and_what_that_belongs_to(visit: Visit, station: Deployment) -> None:
    page = read(visit("anonymous"), f"/stations/{station.pk}/?taxon=Coleoptera")
    assert [option.attributes["value"] for option in page.all("option") if not option.text] == [
        "Carabus",
        "Coleoptera",
    ]


def test_the_name_as_it_is_written_comes_before_others_of_another_case(station: Deployment) -> None:
    small = Taxon.objects.create(name="noctua")
    assert named_or_below("noctua") == [small.pk]
    assert len(named_or_below("Noctua")) == 3
    assert named_or_below("NOCTUA") == named_or_below("Noctua")
    assert named_or_below("Unicorn") == []


MANY, GENERA = 30_000, 3_000


@pytest.fixture
def order(station: Deployment) -> str:
    """An order with as many taxa below it as a large classifier has names."""
    for kind, above, count in (("Genus", "Noctuidae", GENERA), ("Species", "Genus", MANY - GENERA)):
        execute(
            """INSERT INTO main_taxon (name, rank, parent_id, active, created_at, updated_at)
            SELECT %(kind)s || ' ' || i, upper(%(kind)s), t.id, true, now(), now()
            FROM generate_series(1, %(n)s) i
            JOIN main_taxon t ON t.name IN (%(above)s, %(above)s || ' ' || (i %% %(genera)s + 1))""",
            {"kind": kind, "above": above, "n": count, "genera": GENERA},
        )
    execute("ANALYZE main_taxon")
    return "Lepidoptera"


def test_those_below_are_found_by_the_index_on_their_parents(order: str) -> None:
    with CaptureQueriesContext(connection) as captured:
        assert len(named_or_below("Noctua pronuba")) == 1
    (plan,) = rows(f"EXPLAIN (FORMAT JSON) {captured[0]['sql']}")[0]
    assert "main_taxon_parent_id" in str(plan)
    assert len(named_or_below(order)) == MANY + 5


def test_a_page_of_a_large_taxon_reads_captures_until_it_is_full_and_no_table_whole(
    order: str, station: Deployment
) -> None:
    for _ in range(60):
        add_box(make_capture(station), (0, 0, 9, 9), ("Noctua comes", 0.9))
    execute("ANALYZE main_sourceimage, ml_detection, ml_classification")
    form = CaptureFilter({"taxon": order, "score": "0.1"})
    assert form.is_valid(), form.errors
    with CaptureQueriesContext(connection) as captured:
        assert len(walk(scope_of_station(station), form.conditions).captures) == 48
    (sql,) = [query["sql"] for query in captured if "ml_classification" in query["sql"]]
    plan = "\n".join(row[0] for row in rows(f"EXPLAIN (COSTS OFF) {sql}"))
    assert "SubPlan" in plan, plan
    assert "Semi Join" not in plan, plan
    assert "Hash Join" not in plan, plan
    assert "hashed" not in plan, plan
