"""Who may call what: every route of jobs for everybody (contract 1.9, 1.12)."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser

from ami.jobs.api.worker_access import find_job
from ami.jobs.models import Job
from ami.jobs.tests.api.lab import EVERYBODY, JOBS, Lab, at
from ami.main.models import Project
from ami.main.models.project import permissions_in
from ami.users.models import User
from ami.users.tests.factories import client_of

pytestmark = pytest.mark.integration

MEMBERS = {"member", "researcher", "identifier", "data_manager", "manager"}
MANAGERS = {"data_manager", "manager"}
NO_CREDENTIALS = {"detail": "Authentication credentials were not provided."}
NOT_ALLOWED = {"detail": "You do not have permission to perform this action."}


def call(lab: Lab, who: str, route: str, job: Job) -> Any:
    """Call one route of the matrix as somebody."""
    client = lab.client(who)
    match route:
        case "list":
            return client.get(JOBS)
        case "poll":
            return client.get(JOBS, {"ids_only": 1})
        case "create":
            return client.post(JOBS, {"name": "n", "delay": 0, "project_id": lab.world.project.pk})
        case "retrieve" | "failures":
            return client.get(at(job, route.removeprefix("retrieve")))
        case "put":
            body = {"name": "n", "delay": 0, "project_id": lab.world.project.pk}
            return client.put(at(job), body)
        case "patch":
            return client.patch(at(job), {"name": "n"})
        case "delete":
            return client.delete(at(job))
        case "tasks":
            return client.post(at(job, "tasks"), {"batch_size": 1})
        case "result":
            return client.post(at(job, "result"), {"results": []})
    return client.post(at(job, route))


ALLOWED: dict[str, tuple[set[str], int]] = {
    "list": (set(EVERYBODY), 200),
    "poll": (set(EVERYBODY), 200),
    "retrieve": (set(EVERYBODY), 200),
    "create": (MEMBERS | {"superuser"}, 201),
    "put": (MANAGERS | {"superuser"}, 200),
    "patch": (MANAGERS | {"superuser"}, 200),
    "delete": ({"superuser"}, 204),
    "run": (MANAGERS | {"superuser"}, 200),
    "retry": (MANAGERS | {"superuser"}, 200),
    "failures": (set(EVERYBODY), 200),
    "retry-failed": (MANAGERS | {"superuser"}, 200),
    "cancel": (MANAGERS | {"superuser"}, 200),
    "tasks": ({"worker", "superuser"}, 200),
    "result": ({"worker", "superuser"}, 200),
}


@pytest.mark.parametrize("route", ALLOWED)
def test_a_route_is_open_to_those_whose_role_says_so(lab: Lab, route: str) -> None:
    allowed, status = ALLOWED[route]
    for who in EVERYBODY:
        answer = call(lab, who, route, lab.world.job(images=1))
        if who in allowed:
            assert answer.status_code == status, (who, route, answer.content)
        elif who == "anonymous":
            assert (answer.status_code, answer.json()) == (401, NO_CREDENTIALS)
            assert answer["WWW-Authenticate"] == "Token"
        else:
            assert (answer.status_code, answer.json()) == (403, NOT_ALLOWED), (who, route)


def test_every_member_may_run_a_job_over_a_single_image(lab: Lab) -> None:
    for route in ("run", "retry", "retry-failed", "cancel"):
        for who in MEMBERS:
            assert call(lab, who, route, lab.single_image_job()).status_code == 200, (who, route)
        for who in ("worker", "outsider"):
            assert call(lab, who, route, lab.single_image_job()).status_code == 403, (who, route)


def test_a_single_image_job_opens_no_way_around_the_worker_role(lab: Lab) -> None:
    job = lab.single_image_job()
    for who in MEMBERS | {"outsider"}:
        assert call(lab, who, "tasks", job).status_code == 403, who
        assert call(lab, who, "result", job).status_code == 403, who


@pytest.mark.parametrize("who", ["data_manager", "member"])
def test_a_run_permission_holds_for_jobs_of_its_type(lab: Lab, who: str) -> None:
    sync = lab.world.job(pipeline=None, job_type_key="data_storage_sync")
    post_processing = lab.world.job(pipeline=None, job_type_key="post_processing")
    may_run_syncs = who == "data_manager"
    assert (call(lab, who, "cancel", sync).status_code == 200) is may_run_syncs
    assert call(lab, who, "cancel", post_processing).status_code == 403


def test_jobs_of_a_draft_do_not_exist_for_strangers(lab: Lab) -> None:
    job = lab.world.job(images=1)
    lab.world.project.draft = True
    lab.world.project.save()
    for route in set(ALLOWED) - {"list", "poll", "create"}:
        for who in ("anonymous", "outsider"):
            answer = call(lab, who, route, job)
            assert (answer.status_code, answer.json()) == (404, {"detail": "Not found."}), (who, route)
    assert call(lab, "worker", "tasks", job).status_code == 200
    assert call(lab, "member", "retrieve", job).status_code == 200


def test_a_project_that_a_stranger_cannot_see_cannot_be_named_in_a_new_job(lab: Lab) -> None:
    lab.world.project.draft = True
    lab.world.project.save()
    answer = call(lab, "outsider", "create", lab.world.job())
    pk = lab.world.project.pk
    assert (answer.status_code, answer.json()) == (
        400,
        {"project_id": [f'Invalid pk "{pk}" - object does not exist.']},
    )


def test_jobs_of_a_project_that_is_switched_off_are_gone_for_everybody(lab: Lab) -> None:
    job = lab.world.job()
    lab.world.project.active = False
    lab.world.project.save()
    for who in ("member", "worker", "superuser"):
        assert call(lab, who, "retrieve", job).status_code == 404
        assert call(lab, who, "list", job).json()["count"] == 0


def test_a_token_that_nobody_gave_out_is_refused_even_where_everybody_may_read(lab: Lab) -> None:
    client = client_of(None)
    client.credentials(HTTP_AUTHORIZATION=f"Token {'0' * 40}")
    answer = client.get(JOBS)
    assert (answer.status_code, answer.json()) == (401, {"detail": "Invalid token."})


def test_the_token_of_a_deactivated_account_is_refused(lab: Lab) -> None:
    client = lab.client("worker")
    User.objects.filter(pk=lab.user("worker").pk).update(is_active=False)
    answer = client.post(at(lab.world.job(), "tasks"), {"batch_size": 1})
    assert (answer.status_code, answer.json()) == (401, {"detail": "User inactive or deleted."})


def test_a_role_in_one_project_is_none_in_another(lab: Lab) -> None:
    lab.client("worker")
    project = type(lab.world.project).objects.create(name="Other")
    job = Job.objects.create(name="Theirs", project=project, pipeline=lab.world.pipeline, status="STARTED")
    assert call(lab, "worker", "tasks", job).status_code == 403
    assert call(lab, "manager", "cancel", job).status_code == 403


def test_workers_are_let_in_by_the_rules_that_hold_everywhere(lab: Lab) -> None:
    job, project = lab.world.job(), lab.world.project
    lab.user("superuser")
    owner = lab.user("outsider")
    for owned, draft, active in product([False, True], repeat=3):
        project.owner = owner if owned else None
        project.draft, project.active = draft, active
        project.save()
        for who in EVERYBODY:
            user = AnonymousUser() if who == "anonymous" else lab.user(who)
            found = find_job(user, job.pk)
            assert (found is not None) is Project.objects.all().visible_to(user).filter(
                pk=project.pk
            ).exists()
            assert found is None or found[1] == permissions_in(user, project)
