"""Uploads with `process_now`: one request, one capture, one job."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from pytest_django.fixtures import Settings
from rest_framework.test import APIClient

from ami.jobs.models import Job
from ami.jobs.tests.world import World
from ami.main.models import SourceImage
from ami.main.tests.factories import add_member, image_bytes
from ami.users.models import User
from ami.users.roles import Role

pytestmark = pytest.mark.integration


def upload(world: World, role: Role = Role.PROJECT_MANAGER) -> Any:
    """Upload one image and ask for its processing."""
    user = User.objects.create_user(f"{role.value}@example.org")
    add_member(world.project, user, role)
    client = APIClient()
    client.force_authenticate(user)
    image = SimpleUploadedFile("moth.jpg", image_bytes(), "image/jpeg")
    return client.post(
        f"/api/v2/captures/upload/?project_id={world.project.pk}&process_now=true",
        {"image": image, "deployment": world.deployment.pk},
        format="multipart",
    )


def test_an_upload_is_processed_at_once_with_the_default_pipeline(
    world: World, settings: Settings, tmp_path: Any
) -> None:
    settings.MEDIA_ROOT = tmp_path
    world.project.default_processing_pipeline = world.pipeline
    world.project.save()
    response = upload(world)
    assert response.status_code == 201, response.json()
    job = Job.objects.get()
    world.jobs.append(job)
    assert job.source_image_single_id == response.json()["source_image"]["id"]
    assert job.status == "PENDING"
    world.background.run("dispatch")
    assert len(world.reserve(job)) == 1


def test_without_a_default_pipeline_nothing_is_stored(
    world: World, settings: Settings, tmp_path: Any
) -> None:
    settings.MEDIA_ROOT = tmp_path
    response = upload(world)
    assert response.status_code == 400
    assert "default pipeline" in response.json()["detail"]
    assert not SourceImage.objects.exists()
    assert not Job.objects.exists()
