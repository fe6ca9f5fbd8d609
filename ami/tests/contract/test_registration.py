"""R1 and R2: finding a project and announcing pipelines (part B, 2 and 3)."""

from __future__ import annotations

from http import HTTPStatus

import pytest
import requests

from ami.ml.models import Algorithm, Pipeline, ProcessingService
from ami.tests.contract.field_models import SLUG, SLUGS, registration
from ami.tests.contract.platform import SERVICE, Platform
from ami.tests.contract.worker import PullWorker
from ami.users.roles import Role
from ami.users.tests.factories import token_of


def test_r1_the_project_of_the_token_is_listed(platform: Platform) -> None:
    listed = platform.worker().projects().results
    assert [(project.id, project.name) for project in listed] == [(platform.project.pk, "Panama")]


def test_r2_ten_pipelines_are_registered_with_201(platform: Platform) -> None:
    worker = platform.worker()
    path = f"/projects/{platform.project.pk}/pipelines/"
    answer = worker.post(path, registration(SERVICE))
    assert answer.status_code == HTTPStatus.CREATED
    body = answer.json()
    assert body["success"] is True
    assert body["error"] is None
    assert sorted(body["pipelines_created"]) == sorted(SLUGS)
    assert [pipeline["slug"] for pipeline in body["pipelines"]] == SLUGS
    service = ProcessingService.objects.get(name=SERVICE)
    assert service.is_async
    assert service.is_online
    assert set(service.pipelines.values_list("slug", flat=True)) == set(SLUGS)
    assert Algorithm.objects.count() == 3
    assert Pipeline.objects.get(slug="moth_binary").algorithms.count() == 2


def test_r2_a_worker_that_restarts_registers_again_and_changes_nothing(platform: Platform) -> None:
    worker = platform.worker()
    first = worker.register(platform.project.pk, registration(SERVICE))
    again = worker.register(platform.project.pk, registration(SERVICE))
    assert len(first.pipelines_created) == 10
    assert (again.pipelines_created, again.pipelines_updated) == ([], [])
    assert again.processing_service_id == first.processing_service_id
    assert ProcessingService.objects.count() == 1


def test_r2_a_category_map_of_a_real_model_is_taken(platform: Platform) -> None:
    labels = [f"Genus species{number}" for number in range(29_176)]
    platform.worker().register(platform.project.pk, registration(SERVICE, [SLUG], labels))
    species = Algorithm.objects.get(key="panama_species_classifier_2024")
    assert species.category_map is not None
    assert species.category_map.labels == labels


@pytest.mark.parametrize(
    ("role", "status"),
    [(None, HTTPStatus.UNAUTHORIZED), (Role.BASIC_MEMBER, HTTPStatus.FORBIDDEN)],
)
def test_r2_who_may_not_register_is_told_so(platform: Platform, role: Role | None, status: int) -> None:
    token = "0" * 40 if role is None else token_of(platform.member(role))
    worker = PullWorker(platform.base, token, platform.worker().predict)
    with pytest.raises(requests.HTTPError) as refused:
        worker.register(platform.project.pk, registration(SERVICE))
    assert refused.value.response.status_code == status
    assert isinstance(refused.value.response.json()["detail"], str)
    assert not ProcessingService.objects.exists()
