"""PUT, PATCH and DELETE of a job (contract 1.9)."""

from __future__ import annotations

from typing import Any

import pytest

from ami.jobs.models import Job
from ami.jobs.tests.api.lab import Lab, at, other_project
from ami.jobs.tests.api.test_job_json import KEYS
from ami.main.tests.factories import make_capture_set

pytestmark = pytest.mark.integration


def patch(lab: Lab, job: Job, who: str = "data_manager", **fields: Any) -> Any:
    """PATCH as somebody."""
    return lab.client(who).patch(at(job), fields)


def test_a_created_job_may_change_everything_that_it_works_on(lab: Lab) -> None:
    job = lab.world.job()
    capture_set = lab.world.capture_set(lab.world.captures(1))
    answer = patch(lab, job, name="New", limit=5, shuffle=True, source_image_collection_id=capture_set.pk)
    assert answer.status_code == 200
    shown = answer.json()
    assert list(shown) == KEYS
    assert (shown["name"], shown["limit"], shown["shuffle"]) == ("New", 5, True)
    assert shown["source_image_collection"]["id"] == capture_set.pk
    assert lab.get(at(job)).json()["limit"] == 5


def test_a_part_may_be_taken_away_by_null(lab: Lab) -> None:
    job = lab.world.job(deployment=lab.world.deployment, limit=3)
    shown = patch(lab, job, deployment_id=None, limit=None).json()
    assert (shown["deployment"], shown["limit"]) == (None, None)


@pytest.mark.parametrize("state", ["PENDING", "STARTED", "SUCCESS", "FAILURE", "REVOKED"])
def test_what_a_submitted_job_works_on_is_fixed(lab: Lab, state: str) -> None:
    job = lab.world.job()
    Job.objects.filter(pk=job.pk).update(status=state)
    changes: list[dict[str, Any]] = [{"limit": 1}, {"delay": 5}, {"shuffle": True}, {"pipeline_id": None}]
    for change in changes:
        answer = patch(lab, job, **change)
        assert answer.status_code == 400, change
        assert "cannot change any more" in answer.json()["detail"]


def test_the_name_of_a_submitted_job_may_change(lab: Lab) -> None:
    job = lab.world.started_job()
    assert patch(lab, job, name="Renamed").json()["name"] == "Renamed"


def test_the_priority_of_a_submitted_job_may_change_within_its_bounds(lab: Lab) -> None:
    job = lab.world.started_job()
    assert patch(lab, job, priority=100).json()["priority"] == 100
    for nonsense in (0, 101, "high"):
        answer = patch(lab, job, priority=nonsense)
        assert (answer.status_code, list(answer.json())) == (400, ["priority"])
    job.refresh_from_db()
    assert job.priority == 100


def test_saying_again_what_is_so_changes_nothing_and_is_no_error(lab: Lab) -> None:
    job = lab.world.started_job()
    answer = patch(lab, job, limit=None, shuffle=False, project_id=lab.world.project.pk)
    assert answer.status_code == 200


def test_a_job_cannot_move_to_another_project(lab: Lab) -> None:
    project, _ = other_project()
    answer = patch(lab, lab.world.job(), "superuser", project_id=project.pk)
    assert answer.status_code == 400
    assert "cannot move" in answer.json()["detail"]


def test_parts_of_another_project_are_refused_in_changes_too(lab: Lab) -> None:
    project, _ = other_project()
    answer = patch(lab, lab.world.job(), source_image_collection_id=make_capture_set(project).pk)
    assert answer.json() == {"source_image_collection_id": ["This does not belong to the project."]}


@pytest.mark.parametrize("field", ["status", "dispatch_mode", "started_at", "finished_at", "result", "run"])
def test_what_the_platform_writes_cannot_be_written(lab: Lab, field: str) -> None:
    job = lab.world.job()
    before = lab.get(at(job)).json()
    assert patch(lab, job, **{field: "SUCCESS"}).status_code == 200
    after = lab.get(at(job)).json()
    assert {**after, "updated_at": ""} == {**before, "updated_at": ""}


def test_put_needs_what_a_new_job_needs(lab: Lab) -> None:
    job = lab.world.job()
    refused = lab.client("data_manager").put(at(job), {"name": "x"})
    assert set(refused.json()) == {"delay", "project_id"}
    whole = {"name": "Put", "delay": 3, "project_id": lab.world.project.pk}
    shown = lab.client("data_manager").put(at(job), whole).json()
    assert (shown["name"], shown["delay"]) == ("Put", 3)
    assert shown["pipeline"]["id"] == lab.world.pipeline.pk


@pytest.mark.parametrize("who", ["member", "researcher", "worker", "outsider"])
def test_who_may_not_update_gets_403_and_nothing_changes(lab: Lab, who: str) -> None:
    job = lab.world.job()
    answer = patch(lab, job, who, name="Mine")
    assert (answer.status_code, answer.json()) == (
        403,
        {"detail": "You do not have permission to perform this action."},
    )
    job.refresh_from_db()
    assert job.name == "Job"


def test_a_superuser_deletes_a_running_job_with_its_queue(lab: Lab) -> None:
    job = lab.world.started_job()
    assert lab.world.standing(job) == 4
    answer = lab.client("superuser").delete(at(job))
    assert (answer.status_code, answer.content) == (204, b"")
    assert lab.get(at(job)).status_code == 404
    assert lab.world.standing(job) is None


@pytest.mark.parametrize("who", ["member", "data_manager", "manager", "worker", "outsider"])
def test_nobody_else_deletes_a_job(lab: Lab, who: str) -> None:
    job = lab.world.job()
    assert lab.client(who).delete(at(job)).status_code == 403
    assert Job.objects.filter(pk=job.pk).exists()
