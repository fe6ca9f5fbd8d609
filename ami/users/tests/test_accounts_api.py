"""Log in, log out, one's own account, roles."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.cache import cache
from rest_framework.test import APIClient

from ami.users.models import User
from ami.users.tests.factories import PASSWORD, client_of, make_user

pytestmark = [pytest.mark.integration, pytest.mark.django_db]
LOGIN = "/api/v2/auth/token/login/"
LOGOUT = "/api/v2/auth/token/logout/"
ME = "/api/v2/users/me/"


@pytest.fixture(autouse=True)
def nobody_tried_yet() -> Iterator[None]:
    """Attempts of other tests do not count here."""
    cache.clear()
    yield
    cache.clear()


def log_in(client: APIClient, email: str, password: str = PASSWORD, path: str = LOGIN) -> tuple[int, object]:
    response = client.post(path, {"email": email, "password": password})
    return response.status_code, response.json()


@pytest.mark.parametrize("path", [LOGIN, LOGIN.rstrip("/")])
@pytest.mark.parametrize("email", ["ana@example.org", "Ana@Example.org", " ana@example.org "])
def test_email_and_password_give_a_token_that_works(path: str, email: str) -> None:
    make_user("ana@example.org")
    status, body = log_in(APIClient(), email, path=path)
    assert status == 200
    assert isinstance(body, dict)
    assert list(body) == ["auth_token"]
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Token {body['auth_token']}")
    assert client.get(ME).json()["email"] == "ana@example.org"


@pytest.mark.parametrize(
    ("email", "password"), [("ana@example.org", "wrong"), ("nobody@example.org", PASSWORD)]
)
def test_a_wrong_login_does_not_say_which_half_was_wrong(email: str, password: str) -> None:
    make_user("ana@example.org")
    assert log_in(APIClient(), email, password) == (
        400,
        {"non_field_errors": ["Unable to log in with provided credentials."]},
    )


def test_an_inactive_account_cannot_log_in() -> None:
    make_user("ana@example.org", is_active=False)
    assert log_in(APIClient(), "ana@example.org")[0] == 400


@pytest.mark.parametrize(
    "body", [{}, {"email": "a\x00@example.org", "password": "x"}, {"email": ["x"], "password": 1}]
)
def test_a_login_of_nonsense_is_a_400(body: dict[str, object]) -> None:
    assert APIClient().post(LOGIN, body).status_code == 400


def test_guessing_is_slowed_down_per_account_and_others_still_get_in() -> None:
    make_user("ana@example.org")
    make_user("bob@example.org")
    client = APIClient()
    answers = [log_in(client, "ana@example.org", "guess")[0] for _ in range(11)]
    assert answers == [400] * 10 + [429]
    assert log_in(client, "bob@example.org")[0] == 200


def test_a_forged_forwarding_header_does_not_reset_the_count() -> None:
    make_user("ana@example.org")
    client = APIClient()
    answers = [
        client.post(
            LOGIN, {"email": "ana@example.org", "password": "guess"}, HTTP_X_FORWARDED_FOR=f"10.0.0.{number}"
        ).status_code
        for number in range(11)
    ]
    assert answers[-1] == 429


@pytest.mark.parametrize("path", [LOGOUT, LOGOUT.rstrip("/")])
def test_logging_out_ends_this_token_at_once_and_no_other(path: str) -> None:
    user = make_user()
    here, elsewhere = client_of(user), client_of(user)
    assert here.get(ME).status_code == 200
    assert here.post(path).status_code == 204
    assert here.get(ME).status_code == 401
    assert elsewhere.get(ME).status_code == 200


def test_logging_out_needs_a_token() -> None:
    assert APIClient().post(LOGOUT).status_code == 401


def test_ones_own_account_has_the_shape_of_the_contract() -> None:
    user = make_user("ana@example.org", name="Ana")
    body = client_of(user).get(ME).json()
    assert body == {
        "id": user.pk,
        "name": "Ana",
        "details": f"http://testserver/api/v2/users/{user.pk}/",
        "image": None,
        "identifications": [],
        "email": "ana@example.org",
        "user_permissions": [],
    }
    assert list(body) == ["id", "name", "details", "image", "identifications", "email", "user_permissions"]


def test_ones_own_account_can_be_changed_but_not_its_email() -> None:
    user = make_user("ana@example.org", name="Ana")
    client = client_of(user)
    response = client.patch(ME, {"name": "Anna", "email": "root@example.org", "is_superuser": True})
    assert response.status_code == 200
    user.refresh_from_db()
    assert (user.name, user.email, user.is_superuser) == ("Anna", "ana@example.org", False)
    assert client.get(ME).json()["name"] == "Anna"


def test_ones_own_account_can_be_deleted() -> None:
    user = make_user()
    client = client_of(user)
    assert client.delete(ME).status_code == 204
    assert not User.objects.filter(pk=user.pk).exists()
    assert client.get(ME).status_code == 401


@pytest.mark.parametrize(("fields", "status"), [(None, 401), ({}, 403), ({"is_staff": True}, 201)])
def test_only_administrators_make_accounts(fields: dict[str, Any] | None, status: int) -> None:
    client = client_of(make_user(**fields) if fields is not None else None)
    response = client.post(
        "/api/v2/users/", {"email": "New@Example.org", "password": PASSWORD, "name": "New"}
    )
    assert response.status_code == status
    if status == 201:
        assert "password" not in response.json()
        assert User.objects.get(email="new@example.org").check_password(PASSWORD)


def test_an_email_is_taken_whatever_its_case_and_passwords_are_judged() -> None:
    make_user("ana@example.org")
    client = client_of(make_user(is_staff=True))
    body = {"email": "ANA@example.org", "password": "123"}
    assert set(client.post("/api/v2/users/", body).json()) == {"email", "password"}


def test_people_see_their_own_account_and_staff_sees_all() -> None:
    ana, bob = make_user(), make_user()
    assert client_of(ana).get(f"/api/v2/users/{ana.pk}/").status_code == 200
    assert client_of(ana).get(f"/api/v2/users/{bob.pk}/").status_code == 404
    assert client_of(ana).get("/api/v2/users/").status_code == 403
    assert client_of(make_user(is_staff=True)).get("/api/v2/users/").json()["count"] == 3


def test_the_roles_are_public_and_have_their_names() -> None:
    roles = APIClient().get("/api/v2/users/roles/").json()
    assert [role["id"] for role in roles][:5] == [
        "BasicMember",
        "Researcher",
        "Identifier",
        "MLDataManager",
        "ProjectManager",
    ]
    assert list(roles[0]) == ["id", "name", "description"]
    assert roles[0]["name"] == "Basic member"
