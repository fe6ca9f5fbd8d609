"""Objects of another project by their ids, through every verb, by somebody who is a manager elsewhere."""

from __future__ import annotations

from typing import Any

import pytest

from ami.tests.hostile.cases import Case, assert_refused, each
from ami.tests.hostile.estate import API, Estate
from ami.users.roles import Role

pytestmark = [pytest.mark.hostile, pytest.mark.integration]

FORBIDDEN, NOT_FOUND = (403, "permission"), (404, "Not found.")
MANAGER = {"email": "intruder@example.org", "role_id": Role.PROJECT_MANAGER.value}
KEYS = "ml/processing_services/{processingservice}/keys/"


def request(line: str, refusal: tuple[int, str], body: Any = None) -> Case:
    """A request such as `PATCH projects/{project}/`."""
    method, path = line.split()
    return Case(line, lambda estate: estate.call(method, path, body), *refusal)


@each(
    request("PATCH projects/{project}/", FORBIDDEN, {"draft": True}),
    request("POST projects/{project}/members/", FORBIDDEN, MANAGER),
    request("PATCH projects/{home}/members/{project-member}/", NOT_FOUND, MANAGER),
    request(
        "POST projects/{project}/pipelines/", FORBIDDEN, {"processing_service_name": "X", "pipelines": []}
    ),
    request("PATCH deployments/{deployment}/?project_id={home}", NOT_FOUND, {"name": "Mine"}),
    request("DELETE captures/upload/{upload}/", NOT_FOUND),
    request("POST captures/collections/{sourceimagecollection}/remove/", FORBIDDEN, {"source_image": 1}),
    request("PATCH ml/processing_services/{processingservice}/?project_id={home}", NOT_FOUND, {"name": "X"}),
    request(f"POST {KEYS}", FORBIDDEN),
    request(f"POST {KEYS}{{worker-key}}/revoke/", FORBIDDEN),
    request("POST jobs/{job}/cancel/", FORBIDDEN),
    request("POST jobs/{job}/retry-failed/", FORBIDDEN),
    request("DELETE jobs/{job}/", FORBIDDEN),
    request("DELETE exports/{dataexport}/", NOT_FOUND),
    request("GET exports/{dataexport}/", NOT_FOUND),
    request("GET exports/{dataexport}/download/", NOT_FOUND),
    request("GET exports/{dataexport}/download/?expires=9999999999&signature=x", (403, "not valid")),
)
def test_what_belongs_to_another_project_cannot_be_changed(estate: Estate, case: Case) -> None:
    assert_refused(estate, case)


@pytest.mark.parametrize(
    "path",
    [
        "projects/{project}/",
        "captures/{sourceimage}/",
        "ml/pipelines/{pipeline}/",
        "ml/processing_services/{processingservice}/?project_id={home}",
        KEYS,
        "jobs/{job}/",
        "jobs/{job}/failures/",
        "exports/{dataexport}/",
        "status/summary/?project_id={project}",
    ],
)
def test_what_belongs_to_a_hidden_project_does_not_exist(hidden_estate: Estate, path: str) -> None:
    assert_refused(hidden_estate, request(f"GET {path}", NOT_FOUND))
    ids = hidden_estate.ids
    address = API + path.format(**ids, home=ids["project"])
    assert hidden_estate.owner.clients["manager"].get(address).status_code == 200, "but for its own people"
