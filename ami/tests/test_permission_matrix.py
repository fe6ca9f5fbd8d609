"""Who may do what: every route of the server, for everybody, in a public project and in a hidden one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import transaction
from django.test import Client
from drf_spectacular.generators import SchemaGenerator
from pytest_django.fixtures import Settings

from ami.jobs.tests.conftest import background as background
from ami.jobs.tests.world import OnDemandDispatcher
from ami.main.media import capture_url
from ami.tests.routes import Route, admin_paths, all_routes
from ami.tests.tenants import ACTORS, Tenants, forget_everything

pytestmark = [pytest.mark.integration, pytest.mark.django_db]

# One line a route; one sign for each of
#
#   a  anonymous                        w  account with the role Worker
#   o  outsider: an account, no role    k  worker key of the project's service
#   m  member (BasicMember)             f  worker key of another project
#   M  manager (ProjectManager)         s  superuser
#
# first where the project is public, then where it is a draft.
#
#   +  done (2xx)     1  401     3  403     4  404     >  sent elsewhere (302)
#   0  400: a project in the body that the caller cannot see does not exist, or (register_pipelines,
#      storage/test) there is nothing to ask
#
# "…" is /api/v2. Keys of other projects see nothing of this one. Calls about no project in particular
# (tasks, next, lists without a project) are open to every worker, and show each only what is its own.
# Pages for people know sessions only: whoever calls them with a token is anybody (ami/dashboard/tests says
# more). There is no thumbnail of this capture, for its file is on somebody's web server.
TABLE = """
                                                                  public            draft
                                                                  a o m M w k f s   a o m M w k f s
GET    /livez                                                     + + + + + + + +   + + + + + + + +
GET    /readyz                                                    + + + + + + + +   + + + + + + + +
GET    /metrics                                                   1 1 1 1 1 1 1 1   1 1 1 1 1 1 1 1
GET    /                                                          > > > > > > > >   > > > > > > > >
GET    /projects/                                                 + + + + + + + +   + + + + + + + +
GET    /projects/<pk>/                                            + + + + + + + +   4 4 4 4 4 4 4 4
GET    /overview/                                                 + + + + + + + +   + + + + + + + +
GET    /jobs/                                                     + + + + + + + +   + + + + + + + +
GET    /jobs/<pk>/                                                + + + + + + + +   4 4 4 4 4 4 4 4
POST   /jobs/<pk>/run/                                            > > > > > > > >   > > > > > > > >
POST   /jobs/<pk>/cancel/                                         > > > > > > > >   > > > > > > > >
POST   /jobs/<pk>/retry-failed/                                   > > > > > > > >   > > > > > > > >
GET    /projects/<pk>/start/                                      3 3 3 3 3 3 3 3   4 4 4 4 4 4 4 4
POST   /projects/<pk>/start/                                      3 3 3 3 3 3 3 3   4 4 4 4 4 4 4 4
GET    /projects/<pk>/start/expected/                             3 3 3 3 3 3 3 3   4 4 4 4 4 4 4 4
GET    /projects/<pk>/exports/                                    4 4 4 4 4 4 4 4   4 4 4 4 4 4 4 4
POST   /projects/<pk>/exports/                                    3 3 3 3 3 3 3 3   4 4 4 4 4 4 4 4
GET    /exports/<pk>/                                             4 4 4 4 4 4 4 4   4 4 4 4 4 4 4 4
GET    /workers/                                                  + + + + + + + +   + + + + + + + +
GET    /workers/<pk>/                                             4 4 4 4 4 4 4 4   4 4 4 4 4 4 4 4
GET    /sets/<pk>/                                                + + + + + + + +   4 4 4 4 4 4 4 4
GET    /stations/<pk>/                                            + + + + + + + +   4 4 4 4 4 4 4 4
GET    /captures/<pk>/                                            + + + + + + + +   4 4 4 4 4 4 4 4
GET    /captures/<pk>/thumbnail/<width>/                          4 4 4 4 4 4 4 4   4 4 4 4 4 4 4 4
GET    /login/                                                    + + + + + + + +   + + + + + + + +
POST   /login/                                                    + + + + + + + +   + + + + + + + +
POST   /logout/                                                   > > > > > > > >   > > > > > > > >
POST   …/auth/token/login/                                        + + + + + + + +   + + + + + + + +
POST   …/auth/token/logout/                                       1 + + + + 3 3 +   1 + + + + 3 3 +
GET    …/captures/<pk>/file/                                      3 3 3 3 3 3 3 3   3 3 3 3 3 3 3 3
GET    …/status/summary/                                          + + + + + + 4 +   4 4 + + + + 4 +
GET    …/schema/                                                  + + + + + + + +   + + + + + + + +
GET    …/docs/                                                    + + + + + + + +   + + + + + + + +
GET    …/users/                                                   1 3 3 3 3 3 3 +   1 3 3 3 3 3 3 +
POST   …/users/                                                   1 3 3 3 3 3 3 +   1 3 3 3 3 3 3 +
GET    …/users/me/                                                1 + + + + 3 3 +   1 + + + + 3 3 +
PUT    …/users/me/                                                1 + + + + 3 3 +   1 + + + + 3 3 +
PATCH  …/users/me/                                                1 + + + + 3 3 +   1 + + + + 3 3 +
DELETE …/users/me/                                                1 + + + + 3 3 +   1 + + + + 3 3 +
GET    …/users/roles/                                             + + + + + + + +   + + + + + + + +
GET    …/users/<pk>/                                              1 4 4 4 4 3 3 +   1 4 4 4 4 3 3 +
GET    …/projects/<project_pk>/members/                           1 3 + + 3 3 4 +   4 4 + + 3 3 4 +
POST   …/projects/<project_pk>/members/                           1 3 3 + 3 3 4 +   1 4 3 + 3 3 4 +
GET    …/projects/<project_pk>/members/<pk>/                      1 3 + + 3 3 4 +   4 4 + + 3 3 4 +
PUT    …/projects/<project_pk>/members/<pk>/                      1 3 3 + 3 3 4 +   4 4 3 + 3 3 4 +
PATCH  …/projects/<project_pk>/members/<pk>/                      1 3 3 + 3 3 4 +   4 4 3 + 3 3 4 +
DELETE …/projects/<project_pk>/members/<pk>/                      1 3 3 + 3 3 4 +   4 4 3 + 3 3 4 +
GET    …/projects/<project_pk>/webhooks/                          1 3 3 + 3 3 4 +   4 4 3 + 3 3 4 +
POST   …/projects/<project_pk>/webhooks/                          1 3 3 + 3 3 4 +   1 4 3 + 3 3 4 +
GET    …/projects/<project_pk>/webhooks/<pk>/                     1 3 3 + 3 3 4 +   4 4 3 + 3 3 4 +
PUT    …/projects/<project_pk>/webhooks/<pk>/                     1 3 3 + 3 3 4 +   4 4 3 + 3 3 4 +
PATCH  …/projects/<project_pk>/webhooks/<pk>/                     1 3 3 + 3 3 4 +   4 4 3 + 3 3 4 +
DELETE …/projects/<project_pk>/webhooks/<pk>/                     1 3 3 + 3 3 4 +   4 4 3 + 3 3 4 +
GET    …/projects/                                                + + + + + + + +   + + + + + + + +
POST   …/projects/                                                1 + + + + 3 3 +   1 + + + + 3 3 +
GET    …/projects/<pk>/                                           + + + + + + 4 +   4 4 + + + + 4 +
PUT    …/projects/<pk>/                                           1 3 3 + 3 3 4 +   4 4 3 + 3 3 4 +
PATCH  …/projects/<pk>/                                           1 3 3 + 3 3 4 +   4 4 3 + 3 3 4 +
DELETE …/projects/<pk>/                                           1 3 3 + 3 3 4 +   4 4 3 + 3 3 4 +
GET    …/deployments/devices/                                     + + + + + + + +   + + + + + + + +
POST   …/deployments/devices/                                     1 3 3 + 3 3 0 +   1 0 3 + 3 3 0 +
GET    …/deployments/devices/<pk>/                                + + + + + + 4 +   4 4 + + + + 4 +
PUT    …/deployments/devices/<pk>/                                1 3 3 + 3 3 4 +   4 4 3 + 3 3 4 +
PATCH  …/deployments/devices/<pk>/                                1 3 3 + 3 3 4 +   4 4 3 + 3 3 4 +
DELETE …/deployments/devices/<pk>/                                1 3 3 + 3 3 4 +   4 4 3 + 3 3 4 +
GET    …/deployments/sites/                                       + + + + + + + +   + + + + + + + +
POST   …/deployments/sites/                                       1 3 3 + 3 3 0 +   1 0 3 + 3 3 0 +
GET    …/deployments/sites/<pk>/                                  + + + + + + 4 +   4 4 + + + + 4 +
PUT    …/deployments/sites/<pk>/                                  1 3 3 + 3 3 4 +   4 4 3 + 3 3 4 +
PATCH  …/deployments/sites/<pk>/                                  1 3 3 + 3 3 4 +   4 4 3 + 3 3 4 +
DELETE …/deployments/sites/<pk>/                                  1 3 3 + 3 3 4 +   4 4 3 + 3 3 4 +
GET    …/deployments/                                             + + + + + + + +   + + + + + + + +
POST   …/deployments/                                             1 3 3 + 3 3 0 +   1 0 3 + 3 3 0 +
GET    …/deployments/<pk>/                                        + + + + + + 4 +   4 4 + + + + 4 +
PUT    …/deployments/<pk>/                                        1 3 3 + 3 3 4 +   4 4 3 + 3 3 4 +
PATCH  …/deployments/<pk>/                                        1 3 3 + 3 3 4 +   4 4 3 + 3 3 4 +
DELETE …/deployments/<pk>/                                        1 3 3 + 3 3 4 +   4 4 3 + 3 3 4 +
POST   …/deployments/<pk>/regroup-sessions/                      1 3 3 + 3 3 4 +   4 4 3 + 3 3 4 +
POST   …/deployments/<pk>/sync/                                  1 3 3 + 3 3 4 +   4 4 3 + 3 3 4 +
POST   …/deployments/sync-all/                                   1 3 3 + 3 3 4 +   1 4 3 + 3 3 4 +
GET    …/captures/upload/                                         + + + + + + + +   + + + + + + + +
POST   …/captures/upload/                                         1 3 3 + 3 3 0 +   1 0 3 + 3 3 0 +
GET    …/captures/upload/<pk>/                                    4 4 4 + 4 4 4 4   4 4 4 + 4 4 4 4
DELETE …/captures/upload/<pk>/                                    4 4 4 + 4 4 4 4   4 4 4 + 4 4 4 4
GET    …/captures/collections/                                    + + + + + + + +   + + + + + + + +
POST   …/captures/collections/                                    1 3 3 + 3 3 0 +   1 0 3 + 3 3 0 +
GET    …/captures/collections/<pk>/                               + + + + + + 4 +   4 4 + + + + 4 +
PUT    …/captures/collections/<pk>/                               1 3 3 + 3 3 4 +   4 4 3 + 3 3 4 +
PATCH  …/captures/collections/<pk>/                               1 3 3 + 3 3 4 +   4 4 3 + 3 3 4 +
DELETE …/captures/collections/<pk>/                               1 3 3 + 3 3 4 +   4 4 3 + 3 3 4 +
POST   …/captures/collections/<pk>/add/                           1 3 3 + 3 3 4 +   4 4 3 + 3 3 4 +
POST   …/captures/collections/<pk>/remove/                        1 3 3 + 3 3 4 +   4 4 3 + 3 3 4 +
POST   …/captures/collections/<pk>/populate/                     1 3 3 + 3 3 4 +   4 4 3 + 3 3 4 +
GET    …/captures/                                                + + + + + + 4 +   4 4 + + + + 4 +
POST   …/captures/                                                1 3 3 + 3 3 0 +   1 0 3 + 3 3 0 +
GET    …/captures/<pk>/                                           + + + + + + 4 +   4 4 + + + + 4 +
PUT    …/captures/<pk>/                                           1 3 3 + 3 3 4 +   4 4 3 + 3 3 4 +
PATCH  …/captures/<pk>/                                           1 3 3 + 3 3 4 +   4 4 3 + 3 3 4 +
DELETE …/captures/<pk>/                                           1 3 3 + 3 3 4 +   4 4 3 + 3 3 4 +
POST   …/captures/<pk>/star/                                     1 3 + + 3 3 4 +   4 4 + + 3 3 4 +
POST   …/captures/<pk>/unstar/                                   1 3 + + 3 3 4 +   4 4 + + 3 3 4 +
GET    …/events/                                                 + + + + + + + +   + + + + + + + +
GET    …/events/<pk>/                                            + + + + + + 4 +   4 4 + + + + 4 +
GET    …/storage/                                                + + + + + + + +   + + + + + + + +
POST   …/storage/                                                1 3 3 + 3 3 0 +   1 0 3 + 3 3 0 +
GET    …/storage/<pk>/                                           4 4 + + + + 4 +   4 4 + + + + 4 +
PUT    …/storage/<pk>/                                           4 4 3 + 3 3 4 +   4 4 3 + 3 3 4 +
PATCH  …/storage/<pk>/                                           4 4 3 + 3 3 4 +   4 4 3 + 3 3 4 +
DELETE …/storage/<pk>/                                           4 4 3 + 3 3 4 +   4 4 3 + 3 3 4 +
POST   …/storage/<pk>/test/                                      4 4 3 0 3 3 4 0   4 4 3 0 3 3 4 0
GET    …/taxa/                                                    + + + + + + + +   + + + + + + + +
GET    …/taxa/<pk>/                                               + + + + + + + +   + + + + + + + +
GET    …/projects/<project_pk>/pipelines/                         + + + + + + 4 +   4 4 + + + + 4 +
POST   …/projects/<project_pk>/pipelines/                         1 3 3 + + + 4 +   1 4 3 + + + 4 +
GET    …/ml/pipelines/                                            + + + + + + + +   + + + + + + + +
POST   …/ml/pipelines/                                            1 3 3 3 3 3 3 +   1 3 3 3 3 3 3 +
GET    …/ml/pipelines/<pk>/                                       + + + + + + 4 +   4 4 + + + + 4 +
PUT    …/ml/pipelines/<pk>/                                       1 3 3 3 3 3 3 +   1 3 3 3 3 3 3 +
PATCH  …/ml/pipelines/<pk>/                                       1 3 3 3 3 3 3 +   1 3 3 3 3 3 3 +
DELETE …/ml/pipelines/<pk>/                                       1 3 3 3 3 3 3 +   1 3 3 3 3 3 3 +
GET    …/ml/algorithms/                                           + + + + + + + +   + + + + + + + +
GET    …/ml/algorithms/<pk>/                                      + + + + + + + +   + + + + + + + +
GET    …/ml/labels/                                               + + + + + + + +   + + + + + + + +
GET    …/ml/labels/<pk>/                                          + + + + + + + +   + + + + + + + +
GET    …/ml/processing_services/<service_pk>/keys/                1 3 3 + 3 3 4 +   4 4 3 + 3 3 4 +
POST   …/ml/processing_services/<service_pk>/keys/                1 3 3 + 3 3 4 +   1 4 3 + 3 3 4 +
GET    …/ml/processing_services/<service_pk>/keys/<pk>/           1 3 3 + 3 3 4 +   4 4 3 + 3 3 4 +
POST   …/ml/processing_services/<service_pk>/keys/<pk>/revoke/    1 3 3 + 3 3 4 +   4 4 3 + 3 3 4 +
POST   …/ml/processing_services/<service_pk>/keys/<pk>/rotate/    1 3 3 + 3 3 4 +   4 4 3 + 3 3 4 +
GET    …/ml/workers/                                              1 3 + + + + 4 +   4 4 + + + + 4 +
GET    …/ml/workers/<pk>/                                         1 3 + + + + 4 +   4 4 + + + + 4 +
GET    …/ml/processing_services/                                  + + + + + + 4 +   4 4 + + + + 4 +
POST   …/ml/processing_services/                                  1 3 3 + 3 3 4 +   1 4 3 + 3 3 4 +
GET    …/ml/processing_services/<pk>/                             + + + + + + 4 +   4 4 + + + + 4 +
PUT    …/ml/processing_services/<pk>/                             1 3 3 3 3 3 4 +   4 4 3 3 3 3 4 +
PATCH  …/ml/processing_services/<pk>/                             1 3 3 3 3 3 4 +   4 4 3 3 3 3 4 +
DELETE …/ml/processing_services/<pk>/                             1 3 3 3 3 3 4 +   4 4 3 3 3 3 4 +
POST   …/ml/processing_services/<pk>/check/                       1 3 3 + + + 4 +   4 4 3 + + + 4 +
POST   …/ml/processing_services/<pk>/register_pipelines/          1 3 3 0 0 0 4 0   4 4 3 0 0 0 4 0
GET    …/ml/processing_services/<pk>/status/                      + + + + + + 4 +   4 4 + + + + 4 +
GET    …/detections/                                              + + + + + + 4 +   4 4 + + + + 4 +
GET    …/detections/<pk>/                                         + + + + + + 4 +   4 4 + + + + 4 +
GET    …/classifications/                                         + + + + + + 4 +   4 4 + + + + 4 +
GET    …/classifications/<pk>/                                    + + + + + + 4 +   4 4 + + + + 4 +
GET    …/jobs/                                                    + + + + + + + +   + + + + + + + +
POST   …/jobs/                                                    1 3 + + 3 3 0 +   1 0 + + 3 3 0 +
POST   …/jobs/next/                                               1 3 3 3 + + + +   1 3 3 3 + + + +
GET    …/jobs/<pk>/                                               + + + + + + 4 +   4 4 + + + + 4 +
PUT    …/jobs/<pk>/                                               1 3 3 + 3 3 4 +   4 4 3 + 3 3 4 +
PATCH  …/jobs/<pk>/                                               1 3 3 + 3 3 4 +   4 4 3 + 3 3 4 +
DELETE …/jobs/<pk>/                                               1 3 3 3 3 3 4 +   4 4 3 3 3 3 4 +
POST   …/jobs/<pk>/cancel/                                        1 3 3 + 3 3 4 +   4 4 3 + 3 3 4 +
GET    …/jobs/<pk>/failures/                                      + + + + + + 4 +   4 4 + + + + 4 +
POST   …/jobs/<pk>/result/                                        1 3 3 3 + + 4 +   4 4 3 3 + + 4 +
POST   …/jobs/<pk>/retry/                                         1 3 3 + 3 3 4 +   4 4 3 + 3 3 4 +
POST   …/jobs/<pk>/retry-failed/                                  1 3 3 + 3 3 4 +   4 4 3 + 3 3 4 +
POST   …/jobs/<pk>/run/                                           1 3 3 + 3 3 4 +   4 4 3 + 3 3 4 +
POST   …/jobs/<pk>/tasks/                                         1 3 3 3 + + 4 +   4 4 3 3 + + 4 +
GET    …/exports/                                                 + + + + + + + +   + + + + + + + +
POST   …/exports/                                                 1 3 3 + 3 3 0 +   1 0 3 + 3 3 0 +
GET    …/exports/<pk>/                                            4 4 + + + 4 4 +   4 4 + + + 4 4 +
DELETE …/exports/<pk>/                                            4 4 3 + 3 4 4 +   4 4 3 + 3 4 4 +
GET    …/exports/<pk>/download/                                   4 4 + + + 4 4 +   4 4 + + + 4 4 +
POST   …/tasks/extend/                                            1 3 3 3 + + + +   1 3 3 3 + + + +
POST   …/tasks/fail/                                              1 3 3 3 + + + +   1 3 3 3 + + + +
POST   …/tasks/release/                                           1 3 3 3 + + + +   1 3 3 3 + + + +
POST   …/tasks/reserve/                                           1 3 3 3 + + + +   1 3 3 3 + + + +
GET    …/autoscaling/                                             1 3 3 + + + + +   1 3 3 + + + + +
GET    …/autoscaling/<slug>/                                      1 3 3 + + + 4 +   1 3 3 + + + 4 +
GET    …/health/reports/                                          1 3 3 3 3 3 3 +   1 3 3 3 3 3 3 +
GET    …/health/reports/<pk>/                                     1 3 3 3 3 3 3 +   1 3 3 3 3 3 3 +
GET    …/                                                         + + + + + + + +   + + + + + + + +
GET    /media/<path>                                              4 4 4 4 4 4 4 4   4 4 4 4 4 4 4 4
"""
_SIGNS = {200: "+", 201: "+", 202: "+", 204: "+", 302: ">", 400: "0", 401: "1", 403: "3", 404: "4"}

INSIDERS = {"member", "manager", "worker", "key", "superuser"}
"""Who knows that a draft exists, and may read the log of a job, and what its workers said of failures."""

KNOW_MEMBERS = {"member", "manager", "superuser"}
"""Who may see the e-mail addresses of members."""

OPEN_ADMIN_PAGES = {"/admin/login/", "/admin/logout/", "/admin/jsi18n/"}


def expected() -> dict[str, tuple[str, str]]:
    """Route → its signs in a public project, and in a draft."""
    rows = {}
    for line in TABLE.strip("\n").splitlines()[2:]:
        method, path, *signs = line.split()
        assert len(signs) == 2 * len(ACTORS), line
        row = f"{method} {path.replace('…', '/api/v2')}"
        assert row not in rows, f"{row} is in the table twice"
        rows[row] = (" ".join(signs[: len(ACTORS)]), " ".join(signs[len(ACTORS) :]))
    return rows


def kind_of(route: Route) -> str:
    """What a route is about; the rows of one kind are tried in one small world."""
    return route.name.split("-")[0] if "project-" not in route.name else route.name.rsplit("-", 1)[0]


KINDS = sorted({kind_of(route) for route in all_routes()})


@pytest.fixture(autouse=True)
def own_media(settings: Settings, tmp_path: Path) -> None:
    """Uploads go to a folder of the test's own."""
    settings.MEDIA_ROOT = tmp_path


@pytest.fixture
def quick_schema(monkeypatch: pytest.MonkeyPatch) -> None:
    """Here it matters who may read the description of the API, not what is in it."""
    monkeypatch.setattr(SchemaGenerator, "get_schema", lambda *_, **__: {"openapi": "3.0.3"})


def test_every_route_is_in_the_table() -> None:
    assert sorted(expected()) == sorted(str(route) for route in all_routes())


@pytest.mark.usefixtures("quick_schema")
@pytest.mark.parametrize("draft", [False, True], ids=["public", "draft"])
@pytest.mark.parametrize("kind", KINDS)
def test_everybody_may_do_what_the_table_says(kind: str, draft: bool, background: OnDemandDispatcher) -> None:
    tenants = Tenants(draft=draft)
    routes = [route for route in all_routes() if kind_of(route) == kind]
    table = expected()
    found = {str(route): " ".join(signs(tenants, route, draft)) for route in routes}
    assert found == {str(route): table[str(route)][draft] for route in routes}


def signs(tenants: Tenants, route: Route, draft: bool) -> Iterator[str]:
    """What everybody gets for one request, each as if nobody had called before."""
    for who in ACTORS:
        forget_everything()
        with transaction.atomic():
            answer = tenants.request(who, route)
            transaction.set_rollback(True)
        assert answer.status_code in _SIGNS, (str(route), who, answer.status_code, content_of(answer))
        assert_keeps_secrets(tenants, route, who, content_of(answer), draft)
        yield _SIGNS[answer.status_code]


def assert_keeps_secrets(tenants: Tenants, route: Route, who: str, content: str, draft: bool) -> None:
    """Whatever the status: no word of a draft, of a job's log, or of members to who may not know."""
    if draft and who not in INSIDERS:
        assert tenants.mark not in content, (str(route), who)
    if who not in INSIDERS:
        assert tenants.log_line not in content, (str(route), who)
    if who not in KNOW_MEMBERS:
        assert tenants.bystander.email not in content, (str(route), who)
    if route.name != "login":
        assert tenants.key.secret not in content, (str(route), who)
    assert tenants.bucket_key not in content, (str(route), who)


def content_of(answer: Any) -> str:
    """The body, in text."""
    content = b"".join(answer.streaming_content) if answer.streaming else answer.content
    return str(content.decode())


def test_the_admin_site_knows_only_sessions_of_the_staff(background: OnDemandDispatcher) -> None:
    tenants = Tenants(draft=False)
    manager = Client()
    manager.force_login(tenants.users["manager"])
    callers = {who: tenants.clients[who] for who in ("anonymous", "worker", "key", "superuser")}
    for path in admin_paths():
        address = path.replace("<object_id>", str(tenants.job.pk)).replace("<content_type_id>", "1")
        for who, client in (callers | {"manager's session": manager}).items():
            answer = client.get(address.replace("<app_label>", "jobs"))
            assert tenants.mark not in content_of(answer), (who, address)
            if path in OPEN_ADMIN_PAGES:
                assert answer.status_code in (200, 302, 405), (who, address)
            else:
                assert answer.status_code in (302, 404), (who, address)
                assert answer.status_code == 404 or "/admin/login/" in answer.headers["Location"], address


def test_a_signed_link_is_good_for_everybody_and_for_one_capture_only(
    tmp_path: Path, background: OnDemandDispatcher
) -> None:
    tenants = Tenants(draft=True)
    (tmp_path / "night.jpg").write_bytes(b"image")
    type(tenants.capture).objects.filter(pk__in=[tenants.capture.pk, tenants.spare.pk]).update(
        path="night.jpg", public_base_url="", deployment=None
    )
    link = capture_url("night.jpg", "", tenants.capture.pk, "")
    assert link is not None
    other = link.replace(f"/{tenants.capture.pk}/", f"/{tenants.spare.pk}/")
    assert other != link
    for who in ACTORS:
        answer = tenants.clients[who].get(link)
        assert (answer.status_code, b"".join(answer.streaming_content)) == (200, b"image")
        assert tenants.clients[who].get(other).status_code == 403
