"""Worker keys and workers in the admin."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.messages import get_messages
from django.test import Client

from ami.base import clock
from ami.main.tests.factories import make_project
from ami.ml import keys
from ami.ml.models import Pipeline, ProcessingService, WorkerInstance, WorkerKey
from ami.users.tests.factories import make_user

pytestmark = [pytest.mark.integration, pytest.mark.django_db]

KEYS = "/admin/ml/workerkey/"


@pytest.fixture
def site_admin() -> Client:
    """An administrator's browser."""
    keys.forget_all()
    client = Client()
    client.force_login(make_user(is_staff=True, is_superuser=True))
    return client


@pytest.fixture
def service() -> ProcessingService:
    """A pull service with one project."""
    made = ProcessingService.objects.create(name="Lab GPUs")
    made.projects.add(make_project())
    return made


def secrets_in(answer: Any) -> list[str]:
    """The keys that the messages of an answer show."""
    text = " ".join(str(message) for message in get_messages(answer.wsgi_request))
    return re.findall(r"amiw_\w+", text)


def test_a_new_key_is_shown_once_and_works(site_admin: Client, service: ProcessingService) -> None:
    projects = [project.pk for project in service.projects.all()]
    body = {"service": service.pk, "name": "rack", "projects": projects, "every_pipeline": "on"}
    answer = site_admin.post(f"{KEYS}add/", body)
    assert answer.status_code == 302, answer.content
    (secret,) = secrets_in(answer)
    machine = keys.recognise(secret)
    assert machine is not None
    assert list(machine.grants) == projects
    key = WorkerKey.objects.get()
    assert key.created_by is not None
    for address in (KEYS, f"{KEYS}{key.pk}/change/", f"{KEYS}{key.pk}/history/"):
        page = site_admin.get(address)
        assert page.status_code == 200
        if address != KEYS:  # the next page after the making shows the message
            assert secret.encode() not in page.content


def test_a_key_for_some_pipelines(site_admin: Client, service: ProcessingService) -> None:
    pipeline = Pipeline.objects.create(name="moths", slug="moths")
    projects = [project.pk for project in service.projects.all()]
    body = {"service": service.pk, "projects": projects, "pipelines": [pipeline.pk]}
    (secret,) = secrets_in(site_admin.post(f"{KEYS}add/", body))
    machine = keys.recognise(secret)
    assert machine is not None
    assert list(machine.pipeline_ids or ()) == [pipeline.pk]


def test_a_key_that_makes_no_sense_is_refused_in_the_form(
    site_admin: Client, service: ProcessingService
) -> None:
    answer = site_admin.post(f"{KEYS}add/", {"service": service.pk, "projects": [make_project().pk]})
    assert answer.status_code == 200
    assert b"does not work for the project" in answer.content
    assert not WorkerKey.objects.exists()


def test_of_an_old_key_only_the_name_can_change(site_admin: Client, service: ProcessingService) -> None:
    made = keys.mint(service=service, projects=service.projects.all(), name="old")
    other = make_project()
    answer = site_admin.post(f"{KEYS}{made.key.pk}/change/", {"name": "new", "projects": [other.pk]})
    assert answer.status_code == 302
    key = WorkerKey.objects.get()
    assert (key.name, list(key.projects.all())) == ("new", list(service.projects.all()))
    assert keys.recognise(made.secret) is not None


def test_keys_are_rotated_and_revoked_by_actions(site_admin: Client, service: ProcessingService) -> None:
    made = keys.mint(service=service, projects=service.projects.all())
    chosen = {"_selected_action": [made.key.pk]}
    (fresh,) = secrets_in(site_admin.post(KEYS, chosen | {"confirmed": "yes", "action": "rotate_keys"}))
    assert keys.recognise(fresh) is not None
    site_admin.post(KEYS, chosen | {"confirmed": "yes", "action": "revoke_keys"})
    assert keys.recognise(made.secret) is None
    site_admin.get(KEYS)  # shows what there was to say until now
    answer = site_admin.post(KEYS, chosen | {"confirmed": "yes", "action": "rotate_keys"})
    assert secrets_in(answer) == []
    assert "make a new one" in " ".join(str(message) for message in get_messages(answer.wsgi_request))


def test_the_list_says_what_each_key_is_good_for_and_begins_with_what_keys_are(
    site_admin: Client, service: ProcessingService
) -> None:
    assert b"With a key the workers of one service" in site_admin.get(KEYS).content
    before, later = (clock.now() + timedelta(hours=hours) for hours in (-1, 1))
    for expires, revoked in ((None, None), (later, None), (before, None), (later, before)):
        made = keys.mint(service=service, projects=service.projects.all())
        WorkerKey.objects.filter(pk=made.key.pk).update(expires_at=expires, revoked_at=revoked)
    page = site_admin.get(KEYS).content.decode()
    found = re.findall(r'class="house-label house-\w+">([a-z\s]+)', page)
    assert [" ".join(words.split()) for words in found] == ["revoked", "ended", "good until", "good"]
    assert f"amiw_{made.key.prefix}…" in page


def test_a_service_gets_a_key_by_an_action(site_admin: Client, service: ProcessingService) -> None:
    pushed = ProcessingService.objects.create(name="Pushed", endpoint_url="http://svc:2000")
    body = {"action": "make_keys", "_selected_action": [service.pk, pushed.pk]}
    answer = site_admin.post("/admin/ml/processingservice/", body)
    (secret,) = secrets_in(answer)
    assert keys.recognise(secret) is not None
    assert "only workers that pull" in " ".join(str(message) for message in get_messages(answer.wsgi_request))


def test_workers_can_be_looked_at_and_their_names_are_escaped(
    site_admin: Client, service: ProcessingService
) -> None:
    worker = WorkerInstance.objects.create(
        holder=f"service:{service.pk}",
        name="<script>alert(1)</script>",
        service=service,
        last_seen=clock.now(),
    )
    for address in ("/admin/ml/workerinstance/", f"/admin/ml/workerinstance/{worker.pk}/change/"):
        page = site_admin.get(address)
        assert page.status_code == 200
        assert b"<script>alert" not in page.content
