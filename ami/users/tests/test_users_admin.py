"""Accounts and tokens in the admin."""

from __future__ import annotations

import pytest
from django.test import Client
from knox.models import AuthToken

from ami.users.models import User
from ami.users.tests.factories import PASSWORD, make_user

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


@pytest.fixture
def admin() -> Client:
    client = Client()
    client.force_login(make_user(is_staff=True, is_superuser=True))
    return client


@pytest.mark.parametrize("path", ["users/user/", "users/user/add/", "users/user/?q=ana", "knox/authtoken/"])
def test_the_pages_open(admin: Client, path: str) -> None:
    assert admin.get(f"/admin/{path}").status_code == 200


def test_an_account_is_made_from_an_email(admin: Client) -> None:
    form = {
        "email": "New@Example.org",
        "usable_password": "true",
        "password1": PASSWORD,
        "password2": PASSWORD,
    }
    response = admin.post("/admin/users/user/add/", form)
    assert response.status_code == 302, response.context["errors"]
    assert User.objects.get(email="new@example.org").check_password(PASSWORD)


def test_a_taken_email_is_refused_whatever_its_case(admin: Client) -> None:
    make_user("ana@example.org")
    form = {
        "email": "ANA@example.org",
        "usable_password": "true",
        "password1": PASSWORD,
        "password2": PASSWORD,
    }
    assert b"exists already" in admin.post("/admin/users/user/add/", form).content


def test_a_new_token_is_shown_once(admin: Client) -> None:
    worker = make_user("worker@example.org")
    response = admin.post("/admin/knox/authtoken/add/", {"user": worker.pk}, follow=True)
    shown = next(str(message) for message in response.context["messages"] if "TOKEN" in str(message))
    token = shown.removeprefix("TOKEN ")
    assert AuthToken.objects.filter(user=worker, token_key=token[:15]).exists()
    assert token.encode() not in admin.get("/admin/knox/authtoken/").content
