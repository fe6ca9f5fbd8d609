"""Registration by a worker that holds a key: the key says which service it is."""

from __future__ import annotations

from typing import Any

import pytest
from rest_framework.test import APIClient

from ami.main.models import Project
from ami.main.tests.factories import make_project
from ami.main.tests.people import People
from ami.ml.keys import mint
from ami.ml.models import Pipeline, ProcessingService, ProjectPipelineConfig
from ami.ml.tests.factories import announcement, make_pipeline, make_service

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


def register(
    project: Project,
    service: ProcessingService,
    *announced: dict[str, Any],
    at: Project | None = None,
    **key: Any,
) -> Any:
    """Announce pipelines with a new key of the service in the project, there or `at` another one."""
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Token {mint(service=service, projects=[project], **key).secret}")
    body = {"processing_service_name": "Whatever it says", "pipelines": list(announced)}
    return client.post(f"/api/v2/projects/{(at or project).pk}/pipelines/", body)


def test_pipelines_are_those_of_the_service_of_the_key(people: People) -> None:
    service = make_service(people.project, name="Lab GPUs")
    for created in (["moth_binary"], []):
        answer = register(people.project, service, announcement())
        assert (answer.status_code, answer.json()["pipelines_created"]) == (201, created)
    pipeline = Pipeline.objects.get()
    assert list(service.pipelines.all()) == [pipeline]
    assert ProjectPipelineConfig.objects.filter(
        project=people.project, pipeline=pipeline, enabled=True
    ).exists()
    assert list(ProcessingService.objects.values_list("name", flat=True)) == ["Lab GPUs"]


def test_a_key_for_some_pipelines_registers_no_others(people: People) -> None:
    service = make_service(people.project)
    known = make_pipeline(people.project, slug="moth_binary", name="Moth Classifier")
    answer = register(people.project, service, announcement(slug="birds"), pipelines=[known])
    assert (answer.status_code, answer.json()["code"]) == (403, "key_too_narrow")
    assert "'birds'" in answer.json()["detail"]
    assert not Pipeline.objects.filter(slug="birds").exists()
    assert register(people.project, service, announcement(), pipelines=[known]).status_code == 201


def test_a_key_registers_nothing_in_a_project_that_it_is_not_for(people: People) -> None:
    theirs = make_project()
    answer = register(people.project, make_service(people.project), announcement(), at=theirs)
    assert answer.status_code == 404
    assert not theirs.pipelines.exists()
