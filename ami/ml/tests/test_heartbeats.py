"""Signs of life."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.db import connection
from pytest_django import DjangoAssertNumQueries
from pytest_django.fixtures import Settings

from ami.base import clock
from ami.main.tests.factories import make_project
from ami.ml import heartbeats
from ami.ml.heartbeats import note_pipeline_seen, note_service_seen, note_slugs_seen
from ami.ml.models import ProcessingService
from ami.ml.tests.factories import make_pipeline, make_service

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


@pytest.fixture(autouse=True)
def nothing_noted() -> Iterator[None]:
    """Notes of other tests are not remembered here."""
    heartbeats.forget_notes()
    yield
    heartbeats.forget_notes()


def online(service: ProcessingService) -> bool:
    service.refresh_from_db()
    return service.is_online


def test_a_service_that_calls_is_online() -> None:
    service, other = make_service(make_project()), make_service(make_project())
    note_service_seen(service.pk)
    assert online(service)
    assert not online(other)


def test_work_on_a_pipeline_shows_the_services_of_this_project_only() -> None:
    project, strange = make_project(), make_project()
    pipeline = make_pipeline(project, strange)
    ours, theirs = make_service(project, pipeline), make_service(strange, pipeline)
    idle = make_service(project)
    note_pipeline_seen(pipeline.pk, project.pk)
    assert [online(service) for service in (ours, theirs, idle)] == [True, False, False]


def test_a_poll_shows_the_services_of_the_callers_projects_only() -> None:
    project, strange = make_project(), make_project()
    pipeline = make_pipeline(project, strange)
    ours, theirs = make_service(project, pipeline), make_service(strange, pipeline)
    idle = make_service(project)
    note_slugs_seen([pipeline.slug], [project.pk])
    assert [online(service) for service in (ours, theirs, idle)] == [True, False, False]
    note_slugs_seen([], [project.pk])
    assert [online(service) for service in (ours, theirs, idle)] == [True, False, True]
    note_slugs_seen([pipeline.slug], [])
    assert not online(theirs)


def test_a_pushed_service_is_not_marked_by_calls_of_workers() -> None:
    service = make_service(make_project(), endpoint_url="http://svc:2000")
    note_service_seen(service.pk)
    service.refresh_from_db()
    assert service.last_seen is None


def test_within_half_a_minute_nothing_is_asked_and_nothing_written(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    service = make_service(make_project())
    note_service_seen(service.pk)
    with django_assert_num_queries(0):
        for _ in range(100):
            note_service_seen(service.pk)


def test_another_process_does_not_write_again_what_is_fresh() -> None:
    service = make_service(make_project(), last_seen=clock.now() - timedelta(seconds=10), last_seen_live=True)
    before = service.last_seen
    note_service_seen(service.pk)
    service.refresh_from_db()
    assert service.last_seen == before


def test_a_service_that_was_declared_dead_comes_back_at_once() -> None:
    service = make_service(make_project(), last_seen=clock.now(), last_seen_live=False)
    note_service_seen(service.pk)
    assert online(service)


def test_a_dead_cache_is_not_noticed(settings: Settings) -> None:
    settings.CACHES = {"default": {**settings.CACHES["default"], "LOCATION": "redis://127.0.0.1:1/0"}}
    service = make_service(make_project())
    note_service_seen(service.pk)
    assert online(service)


@pytest.mark.django_db(transaction=True)
def test_nobody_waits_for_a_row_that_another_call_has_in_hand() -> None:
    service = make_service(make_project())
    other = connection.copy()
    try:
        other.set_autocommit(False)
        with other.cursor() as cursor:
            cursor.execute("SELECT 1 FROM ml_processingservice WHERE id = %s FOR UPDATE", [service.pk])
        with connection.cursor() as cursor:
            cursor.execute("SET statement_timeout = '2s'")
        note_service_seen(service.pk)
        service.refresh_from_db()
        assert service.last_seen is None
    finally:
        other.rollback()
        other.close()
        with connection.cursor() as cursor:
            cursor.execute("RESET statement_timeout")
