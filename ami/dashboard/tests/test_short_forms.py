"""Long bodies are refused before anybody reads them, where only short ones make sense."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from pytest_django.fixtures import Settings

from ami.dashboard.tests.conftest import Visit

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


@pytest.mark.parametrize(
    "address", ["/login/", "/logout/", "/projects/", "/nowhere/", "/", "/admin/login/", "/admin/"]
)
def test_a_long_body_is_refused_on_a_page(address: str, settings: Settings) -> None:
    settings.WORKER_CALL_MAX_BYTES = 2048
    answer: Any = Client().post(address, {"password": "x" * 3000})
    assert answer.status_code == 413
    assert "2 kB" in answer.content.decode()
    assert Client().post(address, {"password": "x" * 1000}).status_code != 413


def test_a_made_up_session_opens_nothing(settings: Settings) -> None:
    settings.WORKER_CALL_MAX_BYTES = 2048
    client = Client()
    client.cookies[settings.SESSION_COOKIE_NAME] = "made up"
    assert client.post("/admin/main/project/add/", {"name": "x" * 3000}).status_code == 413


def test_the_api_and_the_admin_have_limits_of_their_own(settings: Settings, visit: Visit) -> None:
    settings.WORKER_CALL_MAX_BYTES = 2048
    body = {"name": "x" * 3000}
    assert visit("superuser").post("/admin/main/project/add/", body).status_code == 200
    assert Client().post("/api/v2/projects/", body, content_type="application/json").status_code == 401
