"""Who is calling."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta

import pytest
from knox.models import AuthToken
from pytest_django import DjangoAssertNumQueries
from rest_framework.request import Request
from rest_framework.test import APIClient, APIRequestFactory

from ami.base import clock
from ami.users import authentication
from ami.users.tests.factories import client_of, make_user, token_of

pytestmark = [pytest.mark.integration, pytest.mark.django_db]
ME = "/api/v2/users/me/"


@pytest.fixture(autouse=True)
def nothing_remembered() -> Iterator[None]:
    """Tokens of other tests are not believed here."""
    authentication._remembered.clear()
    yield
    authentication._remembered.clear()


def with_header(value: str) -> APIClient:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=value)
    return client


@pytest.mark.parametrize(
    ("header", "detail"),
    [
        ("", "Authentication credentials were not provided."),
        ("Bearer abc", "Authentication credentials were not provided."),
        ("Token abc", "Invalid token."),
        ("Token " + "f" * 5000, "Invalid token."),
        ("Token \xff\xfe", "Invalid token."),
        ("Token", "Invalid token header. No credentials provided."),
        ("Token a b", "Invalid token header. Token string should not contain spaces."),
    ],
)
def test_a_bad_token_is_a_401_in_the_words_of_the_contract(header: str, detail: str) -> None:
    response = with_header(header).get(ME)
    assert response.status_code == 401
    assert response.json() == {"detail": detail}
    assert response["WWW-Authenticate"] == "Token"


def test_a_good_token_says_who_is_calling() -> None:
    user = make_user(name="Ana")
    assert client_of(user).get(ME).json()["name"] == "Ana"


def test_the_keyword_may_have_any_case() -> None:
    assert with_header(f"token {token_of(make_user())}").get(ME).status_code == 200


def test_an_inactive_account_is_a_401() -> None:
    response = client_of(make_user(is_active=False)).get(ME)
    assert response.status_code == 401
    assert response.json() == {"detail": "User inactive or deleted."}


def test_an_expired_token_is_a_401_and_nothing_is_written(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    user = make_user()
    client = client_of(user)
    AuthToken.objects.filter(user=user).update(expiry=clock.now() - timedelta(seconds=1))
    with django_assert_num_queries(1):
        assert client.get(ME).status_code == 401
    assert AuthToken.objects.filter(user=user).exists()


def test_tokens_are_stored_hashed_only() -> None:
    token = token_of(make_user())
    row = AuthToken.objects.values().get()
    assert all(token not in str(value) for value in row.values())


def test_a_token_costs_one_query_and_then_none_for_a_while(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    token = token_of(make_user()).encode()
    with django_assert_num_queries(1):
        authentication.find_token(token)
    with django_assert_num_queries(0):
        authentication.find_token(token)


def test_a_revoked_token_stops_working_when_the_cache_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    user = make_user()
    client = client_of(user)
    assert client.get(ME).status_code == 200
    user.is_active = False
    user.save()
    later = time.monotonic() + authentication.TOKEN_CACHE_SECONDS
    monkeypatch.setattr(time, "monotonic", lambda: later)
    assert client.get(ME).status_code == 401


def test_a_request_cannot_change_the_account_that_the_next_one_gets() -> None:
    header = f"Token {token_of(make_user(name='Ana'))}"
    request = Request(APIRequestFactory().get("/", HTTP_AUTHORIZATION=header))
    first, _ = authentication.TokenAuthentication().authenticate(request) or (None, None)
    assert first is not None
    first.name = "Somebody else"
    first.is_superuser = True
    second, _ = authentication.TokenAuthentication().authenticate(request) or (None, None)
    assert second is not None
    assert (second.name, second.is_superuser) == ("Ana", False)


def test_the_memory_of_tokens_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(authentication, "_MOST_REMEMBERED", 2)
    for _ in range(5):
        authentication.find_token(token_of(make_user()).encode())
    assert len(authentication._remembered) <= 2
