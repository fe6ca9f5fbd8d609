"""Webhooks over the API: managers make them, the secret is shown once, addresses inside are refused."""

from __future__ import annotations

import pytest
from pytest_django.fixtures import Settings

from ami.jobs.api.webhooks import MOST_PER_PROJECT
from ami.jobs.models import Webhook
from ami.jobs.tests.api.lab import JOBS, Lab
from ami.main.storage.secrets import unseal

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


def address(lab: Lab) -> str:
    """Where the webhooks of the lab's project are."""
    return f"/api/v2/projects/{lab.world.project.pk}/webhooks/"


def test_a_manager_makes_one_and_sees_its_secret_once(lab: Lab) -> None:
    made = lab.post(address(lab), {"name": "Lab", "url": "https://hooks.example.org/x"}, "manager")
    assert made.status_code == 201, made.content
    secret = made.json()["secret"]
    assert secret.startswith("whsec_")
    assert unseal(Webhook.objects.get().secret) == secret
    (listed,) = lab.get(address(lab), "manager").json()["results"]
    assert listed == {key: value for key, value in made.json().items() if key != "secret"}


@pytest.mark.parametrize(
    "url",
    [
        "ftp://hooks.example.org/",
        "file:///etc/passwd",
        "http://user:password@hooks.example.org/",
        "http://127.0.0.1/",
        "http://[::1]/",
        "http://169.254.169.254/",
        "not a url",
    ],
)
def test_an_address_that_is_never_called_is_refused_with_a_sentence(lab: Lab, url: str) -> None:
    answer = lab.post(address(lab), {"name": "Lab", "url": url}, "manager")
    assert answer.status_code == 400
    assert answer.json()["url"][0].endswith(".")
    assert Webhook.objects.count() == 0


def test_a_project_has_so_many_and_no_more(lab: Lab) -> None:
    for number in range(MOST_PER_PROJECT):
        Webhook.objects.create(project=lab.world.project, name=str(number), url="https://x.example/")
    answer = lab.post(address(lab), {"name": "Lab", "url": "https://hooks.example.org/x"}, "manager")
    assert answer.status_code == 400


def test_a_job_asks_for_an_email_where_there_is_a_mail_server(lab: Lab, settings: Settings) -> None:
    body = {
        "name": "Night",
        "delay": 0,
        "project_id": lab.world.project.pk,
        "source_image_single_id": lab.world.captures(1)[0].pk,
        "notify_by_email": True,
    }
    answer = lab.post(JOBS, body)
    assert (answer.status_code, answer.json()) == (
        400,
        {"notify_by_email": ["This server sends no e-mail."]},
    )
    settings.EMAIL_ENABLED = True
    answer = lab.post(JOBS, body)
    assert (answer.status_code, answer.json()["notify_by_email"]) == (201, True)
