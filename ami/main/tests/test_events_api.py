"""Sessions over the API, and stars."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from ami.main.models import Event, SourceImageCollection
from ami.main.sessions import regroup
from ami.main.tests.factories import NIGHT, make_capture, make_deployment
from ami.main.tests.people import People

pytestmark = [pytest.mark.integration, pytest.mark.django_db]

EVENTS = "/api/v2/events/"
ITEM = [
    "id",
    "name",
    "details",
    "deployment",
    "start",
    "end",
    "day",
    "date_label",
    "duration",
    "duration_label",
    "captures_count",
    "detections_count",
    "occurrences_count",
    "taxa_count",
    "captures",
    "example_captures",
    "created_at",
    "updated_at",
    "user_permissions",
]


def test_a_session_has_the_shape_of_the_contract_and_captures_name_it(people: People) -> None:
    station = make_deployment(people.project, time_zone="America/Panama")
    for hours in (0, 1, 2):
        make_capture(station, timestamp=NIGHT + timedelta(hours=hours, minutes=5 * hours))
    regroup(station.pk)
    event = Event.objects.get()
    client: Any = people.client("anonymous")
    [item] = client.get(f"{EVENTS}?project_id={people.project.pk}").json()["results"]
    assert list(item) == ITEM
    assert item["deployment"]["id"] == station.pk
    assert (item["name"], item["date_label"], item["day"]) == ("Jun 1, 2026", "Jun 1, 2026", "2026-06-01")
    assert (item["duration"], item["duration_label"], item["captures_count"]) == ("7800.0", "2 h 10 min", 3)
    assert client.get(item["captures"]).json()["count"] == 3
    assert client.get(f"{EVENTS}{event.pk}/").json()["id"] == event.pk
    [capture, *_] = client.get(f"/api/v2/captures/?project_id={people.project.pk}").json()["results"]
    assert capture["event"] == {
        "id": event.pk,
        "name": "Jun 1, 2026",
        "details": item["details"],
        "date_label": "Jun 1, 2026",
    }
    shown = client.get(f"/api/v2/deployments/{station.pk}/").json()
    assert shown["events_count"] == 1
    assert shown["example_captures"][0]["event_id"] == event.pk
    assert client.get(f"/api/v2/status/summary/?project_id={people.project.pk}").json()["events_count"] == 1


@pytest.mark.parametrize(
    ("first", "last", "label"),
    [
        ((6, 1), (6, 1), "Jun 1, 2026"),
        ((6, 1), (6, 2), "Jun 1-2, 2026"),
        ((6, 30), (7, 1), "Jun 30 - Jul 1, 2026"),
        ((12, 31), (13, 1), "Dec 31, 2026 - Jan 1, 2027"),
    ],
)
def test_the_days_of_a_session_for_people(
    people: People, first: tuple[int, int], last: tuple[int, int], label: str
) -> None:
    def moment(month: int, day: int) -> Any:
        return NIGHT.replace(year=2026 + month // 13, month=(month - 1) % 12 + 1, day=day)

    event = Event(deployment=make_deployment(people.project), start=moment(*first), end=moment(*last))
    assert event.date_label == label


def test_sessions_of_hidden_projects_do_not_exist_and_nobody_writes_them(people: People) -> None:
    station = make_deployment(people.draft)
    make_capture(station)
    regroup(station.pk)
    one = f"{EVENTS}{Event.objects.get().pk}/"
    assert people.client("outsider").get(one).status_code == 404
    assert people.client("member").get(one).status_code == 200
    assert people.client("superuser").patch(one, {}).status_code == 405
    assert people.client("superuser").delete(one).status_code == 405


def test_lists_cost_the_same_however_long_they_are(people: People) -> None:
    station = make_deployment(people.project)
    costs = []
    people.client("member").get(f"{EVENTS}?project_id={people.project.pk}")
    for day in range(2):
        make_capture(station, timestamp=NIGHT + timedelta(days=day))
        regroup(station.pk)
        with CaptureQueriesContext(connection) as queries:
            for path in (EVENTS, "/api/v2/captures/"):
                answer = people.client("member").get(f"{path}?project_id={people.project.pk}")
                assert answer.json()["count"] == day + 1
        costs.append(len(queries))
    assert costs[0] == costs[1]


def test_captures_are_filtered_by_session(people: People) -> None:
    station = make_deployment(people.project)
    first = make_capture(station, timestamp=NIGHT)
    make_capture(station, timestamp=NIGHT + timedelta(days=1))
    regroup(station.pk)
    first.refresh_from_db()
    found = people.client("member").get(
        f"/api/v2/captures/?project_id={people.project.pk}&event={first.event_id}"
    )
    assert [item["id"] for item in found.json()["results"]] == [first.pk]


def test_stars_are_kept_in_one_set_of_the_project(people: People) -> None:
    first, second = (make_capture(make_deployment(people.project)) for _ in range(2))
    client: Any = people.client("member")

    def call(capture: Any, verb: str) -> Any:
        return client.post(f"/api/v2/captures/{capture.pk}/{verb}/")

    answer = call(first, "star").json()
    stars = SourceImageCollection.objects.get()
    assert answer == {"collection": stars.pk, "total_images": 1}
    assert (stars.method, stars.name) == ("starred", "Starred Images")
    assert call(first, "star").json()["total_images"] == 1
    assert call(second, "star").json()["total_images"] == 2
    assert call(first, "unstar").json() == {"collection": stars.pk, "total_images": 1}
    assert call(first, "unstar").json()["total_images"] == 1
    assert stars.images.get() == second


@pytest.mark.parametrize(
    ("who", "status"), [("anonymous", 401), ("outsider", 403), ("member", 200), ("manager", 200)]
)
def test_members_star_captures(people: People, who: str, status: int) -> None:
    capture = make_capture(make_deployment(people.project))
    for verb in ("star", "unstar"):
        assert people.client(who).post(f"/api/v2/captures/{capture.pk}/{verb}/").status_code == status
