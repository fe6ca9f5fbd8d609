"""Processing services in the admin: checked, registered, and given keys, from list and page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.test import Client
from pytest_django.fixtures import Settings

from ami.base.tests.servers import Service, http_service
from ami.main.tests.factories import make_project
from ami.ml import keys
from ami.ml.models import ProcessingService, WorkerKey
from ami.ml.tests.factories import announcement, make_service
from ami.users.tests.factories import make_user

pytestmark = [pytest.mark.integration, pytest.mark.django_db]

LIST = "/admin/ml/processingservice/"
KEYS = "/admin/ml/workerkey/"


@pytest.fixture
def site_admin() -> Client:
    """An administrator's browser."""
    client = Client()
    client.force_login(make_user(is_staff=True, is_superuser=True))
    return client


@pytest.fixture
def there(settings: Settings) -> Iterator[Service]:
    """A push service on this machine."""
    settings.OUTGOING_ALLOWED_NETWORKS = ["127.0.0.0/8"]
    with http_service() as there:
        info = {"name": "ML", "pipelines": [announcement("constant")]}
        there.replies["/info"] = (200, {}, orjson.dumps(info))
        there.replies["/readyz"] = (200, {}, b'{"status":["constant"]}')
        yield there


def page(service: ProcessingService) -> str:
    """The address of a service's page."""
    return f"{LIST}{service.pk}/change/"


def buttons(client: Client, address: str) -> list[str]:
    """The actions that a page offers."""
    return re.findall(r'name="action" value="(\w+)"', client.get(address).content.decode())


def told(client: Client, where: str, action: str, *rows: Any, **more: str) -> str:
    """Press a button; what the next page says."""
    data = {"action": action, "_selected_action": [row.pk for row in rows]} | more
    answer = client.post(where, data, follow=True)
    assert answer.status_code == 200
    return " ".join(str(message) for message in answer.context["messages"])


def test_the_page_of_a_service_offers_what_its_kind_needs(site_admin: Client) -> None:
    project = make_project()
    pulling, pushed = make_service(project), make_service(project, endpoint_url="http://svc:2000")
    assert buttons(site_admin, page(pulling)) == ["make_keys"]
    assert buttons(site_admin, page(pushed)) == ["check_now", "register"]


def test_check_now_asks_a_service_and_says_what_it_said(site_admin: Client, there: Service) -> None:
    service = make_service(make_project(), name="Lab", endpoint_url=there.url)
    said = told(site_admin, LIST, "check_now", service, back=page(service))
    assert said.startswith("Lab is there, after ")
    assert "ready: constant." in said
    service.refresh_from_db()
    assert service.last_seen_live is True
    there.replies["/readyz"] = (500, {}, b"")
    assert told(site_admin, LIST, "check_now", service).startswith("Lab is not there. ")
    assert LogEntry.objects.filter(object_id=str(service.pk)).count() == 2


def test_several_services_are_asked_at_once_and_pulling_ones_are_not(
    site_admin: Client, there: Service
) -> None:
    project = make_project()
    pushed = [make_service(project, endpoint_url=there.url) for _ in range(2)]
    pulling = make_service(project, name="Pulls")
    said = told(site_admin, LIST, "check_now", *pushed, pulling)
    assert "2 of 2 services are there." in said
    assert "Not asked, because their workers call us: Pulls." in said


def test_what_a_service_offers_is_registered_in_its_projects(site_admin: Client, there: Service) -> None:
    project = make_project()
    service = make_service(project, endpoint_url=there.url)
    assert "constant" in told(site_admin, LIST, "register", service)
    assert list(service.pipelines.values_list("slug", flat=True)) == ["constant"]
    there.replies["/info"] = (500, {}, b"")
    told(site_admin, LIST, "register", service)
    assert LogEntry.objects.count() == 1, "what failed was not done"


def test_a_key_is_made_on_the_page_of_a_service_and_shown_there_once(site_admin: Client) -> None:
    service = make_service(make_project())
    secrets = re.findall(r"amiw_\w+", told(site_admin, LIST, "make_keys", service, back=page(service)))
    assert len(secrets) == 1
    assert secrets[0] not in site_admin.get(page(service)).content.decode()
    assert LogEntry.objects.get().object_id == str(WorkerKey.objects.get().pk)


def test_keys_are_rotated_and_revoked_only_after_a_yes(site_admin: Client) -> None:
    service = make_service(make_project())
    key = keys.mint(service=service, projects=service.projects.all()).key
    address = f"{KEYS}{key.pk}/change/"
    assert buttons(site_admin, address) == ["rotate_keys", "revoke_keys"]
    for action, words in (("rotate_keys", "Rotate 1 key?"), ("revoke_keys", "Revoke 1 key?")):
        asked = site_admin.post(KEYS, {"action": action, "_selected_action": [key.pk], "back": address})
        assert words in asked.content.decode()
    assert WorkerKey.objects.filter(revoked_at__isnull=True).count() == 1
    told(site_admin, KEYS, "revoke_keys", key, confirmed="yes", back=address)
    key.refresh_from_db()
    assert key.revoked_at is not None
    assert buttons(site_admin, address) == []


def test_who_may_only_look_makes_and_ends_no_keys(client: Client) -> None:
    viewer = make_user(is_staff=True)
    names = ("view_processingservice", "view_workerkey")
    viewer.user_permissions.add(*Permission.objects.filter(codename__in=names))
    client.force_login(viewer)
    service = make_service(make_project())
    key = keys.mint(service=service, projects=service.projects.all()).key
    told(client, LIST, "make_keys", service)
    told(client, KEYS, "revoke_keys", key, confirmed="yes")
    key.refresh_from_db()
    assert (WorkerKey.objects.count(), key.revoked_at) == (1, None)
    assert buttons(client, page(service)) == []
