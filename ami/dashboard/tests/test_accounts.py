"""People log in with e-mail and password, and out with a button."""

from __future__ import annotations

import pytest
from django.test import Client

from ami.dashboard.tests.conftest import Visit
from ami.dashboard.tests.reading import read
from ami.main.tests.factories import add_member
from ami.main.tests.people import People
from ami.users.models import User
from ami.users.tests.factories import PASSWORD, make_user

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


@pytest.fixture
def person(people: People) -> User:
    """A member of the draft, with a password."""
    user = make_user("ada@example.org", name="Ada")
    add_member(people.draft, user)
    return user


def attempt(client: Client, password: str = PASSWORD, **fields: str) -> int:
    """Fill in the form; the status of the answer."""
    body = {"username": "ada@example.org", "password": password, **fields}
    return client.post("/login/", body).status_code


@pytest.mark.parametrize("email", ["ada@example.org", "Ada@Example.ORG"])
def test_who_logs_in_sees_their_draft(email: str, person: User, people: People) -> None:
    client = Client()
    draft = f"/projects/{people.draft.pk}/"
    answer = client.post("/login/", {"username": email, "password": PASSWORD, "next": draft})
    assert (answer.status_code, answer.headers["Location"]) == (302, draft)
    page = read(client, draft)
    assert page.status == 200
    assert "Ada" in page.text


def test_the_form_as_it_stands_on_the_page_logs_in_and_leads_on(person: User, people: People) -> None:
    client, draft = Client(), f"/projects/{people.draft.pk}/"
    page = read(client, f"/login/?next={draft}")
    body = {field.attributes["name"]: field.attributes.get("value", "") for field in page.all("input")}
    answer = client.post("/login/", body | {"username": person.email, "password": PASSWORD})
    assert answer.headers["Location"] == draft
    assert set(body) == {"csrfmiddlewaretoken", "username", "password", "next"}
    assert not page.links("/login/")


def test_without_a_place_to_go_a_log_in_leads_to_the_projects(person: User) -> None:
    answer = Client().post("/login/", {"username": person.email, "password": PASSWORD})
    assert answer.headers["Location"] == "/projects/"


def test_nobody_is_sent_to_another_server(person: User) -> None:
    body = {"username": person.email, "password": PASSWORD, "next": "https://evil.example.org/"}
    assert Client().post("/login/", body).headers["Location"] == "/projects/"


def test_a_wrong_password_and_an_unknown_account_are_told_alike(person: User) -> None:
    answers = [
        Client().post("/login/", {"username": email, "password": "wrong"}).content.decode()
        for email in (person.email, "nobody@example.org")
    ]
    assert all("do not belong together" in answer for answer in answers)


def test_a_closed_account_cannot_log_in(person: User) -> None:
    User.objects.filter(pk=person.pk).update(is_active=False)
    assert attempt(Client()) == 200


def test_guessing_is_slowed_down(person: User) -> None:
    assert [attempt(Client(), "wrong") for _ in range(11)] == [200] * 10 + [429]
    assert attempt(Client()) == 429, "the right password must wait too"
    other = make_user("bob@example.org")
    assert attempt(Client(), username=other.email) == 302, "other accounts go on"


def test_attempts_over_the_api_count_too(person: User) -> None:
    for _ in range(10):
        Client().post("/api/v2/auth/token/login/", {"email": person.email, "password": "wrong"})
    answer = Client().post("/login/", {"username": person.email, "password": PASSWORD})
    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) > 0
    assert "Too many attempts" in answer.content.decode()


def test_only_a_button_logs_out(person: User, people: People) -> None:
    client = Client()
    client.force_login(person)
    draft = f"/projects/{people.draft.pk}/"
    assert client.get("/logout/").status_code == 405
    assert client.get(draft).status_code == 200
    answer = client.post("/logout/")
    assert (answer.status_code, answer.headers["Location"]) == (302, "/projects/")
    assert client.get(draft).status_code == 404


def test_forms_of_other_sites_log_nobody_in_or_out(person: User) -> None:
    client = Client(enforce_csrf_checks=True)
    assert attempt(client) == 403
    client.force_login(person)
    assert client.post("/logout/").status_code == 403


def test_the_log_in_link_leads_back(visit: Visit, people: People) -> None:
    here = f"/projects/{people.project.pk}/"
    (link,) = read(visit("anonymous"), here).links("/login/")
    assert link == f"/login/?next={here}"
