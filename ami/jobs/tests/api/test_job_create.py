"""POST /jobs/: what a new job needs, and what it may name (contract 1.9.2)."""

from __future__ import annotations

from typing import Any

import pytest
from pytest_django import DjangoCaptureOnCommitCallbacks

from ami.jobs.models import Job
from ami.jobs.tests.api.lab import JOBS, Lab, other_project
from ami.jobs.tests.api.test_job_json import KEYS
from ami.main.models import SourceImageCollection
from ami.main.tests.factories import make_capture_set
from ami.ml.models import Pipeline, ProjectPipelineConfig

pytestmark = pytest.mark.integration

NOBODY = 999_999_999
UNKNOWN = f'Invalid pk "{NOBODY}" - object does not exist.'


def body(lab: Lab, **fields: Any) -> dict[str, Any]:
    """The body of the contract's example."""
    capture_set = lab.world.capture_set(lab.world.captures(2))
    return {
        "name": "Night 1",
        "delay": 0,
        "project_id": lab.world.project.pk,
        "pipeline_id": lab.world.pipeline.pk,
        "source_image_collection_id": capture_set.pk,
        **fields,
    }


def test_a_job_is_created_and_shown_whole(lab: Lab) -> None:
    answer = lab.post(JOBS, sent := body(lab), "member")
    assert answer.status_code == 201
    shown = answer.json()
    assert list(shown) == KEYS
    assert (shown["name"], shown["delay"], shown["limit"], shown["shuffle"]) == ("Night 1", 0, None, True)
    assert (shown["status"], shown["dispatch_mode"]) == ("CREATED", "async_api")
    assert shown["job_type"]["key"] == "ml"
    assert shown["project"]["id"] == sent["project_id"]
    assert shown["pipeline"]["id"] == sent["pipeline_id"]
    assert shown["source_image_collection"]["id"] == sent["source_image_collection_id"]
    assert Job.objects.get(pk=shown["id"]).created_by == lab.user("member")
    assert lab.world.background.asked == []


@pytest.mark.parametrize(
    ("without", "problem"),
    [("name", "name"), ("delay", "delay"), ("project_id", "project_id")],
)
def test_name_delay_and_project_are_required(lab: Lab, without: str, problem: str) -> None:
    sent = body(lab)
    del sent[without]
    answer = lab.post(JOBS, sent)
    assert (answer.status_code, answer.json()) == (400, {problem: ["This field is required."]})


BAD_VALUES: list[tuple[str, Any, str]] = [
    ("name", "", "This field may not be blank."),
    ("name", "x" * 256, "Ensure this field has no more than 255 characters."),
    ("name", "a\x00b", "Null characters are not allowed."),
    ("delay", None, "This field may not be null."),
    ("delay", "soon", "A valid integer is required."),
    ("delay", -1, "Ensure this value is greater than or equal to 0."),
    ("limit", "few", "A valid integer is required."),
    ("limit", 0, "Ensure this value is greater than or equal to 1."),
    ("limit", 2**40, "Ensure this value is less than or equal to 2147483647."),
    ("shuffle", "perhaps", "Must be a valid boolean."),
    ("job_type_key", "nonsense", '"nonsense" is not a valid choice.'),
    ("project_id", NOBODY, UNKNOWN),
    ("project_id", "x", "A valid integer is required."),
    ("project_id", -1, "A valid integer is required."),
    ("project_id", None, "This field may not be null."),
    ("pipeline_id", NOBODY, UNKNOWN),
    ("pipeline_id", 2**63, f'Invalid pk "{2**63}" - object does not exist.'),
    ("pipeline_id", "x", "Incorrect type. Expected pk value, received str."),
    ("deployment_id", NOBODY, UNKNOWN),
    ("source_image_collection_id", NOBODY, UNKNOWN),
    ("source_image_single_id", NOBODY, UNKNOWN),
]


def test_a_bad_value_is_a_400_under_its_name(lab: Lab) -> None:
    good = body(lab)
    for field, value, sentence in BAD_VALUES:
        answer = lab.post(JOBS, good | {field: value})
        assert (answer.status_code, answer.json()) == (400, {field: [sentence]}), value
    assert not Job.objects.exists()


def test_a_body_that_is_no_object_is_a_400(lab: Lab) -> None:
    answer = lab.post(JOBS, [1, 2])
    assert (answer.status_code, answer.json()) == (
        400,
        {"non_field_errors": ["Invalid data. Expected a dictionary, but got list."]},
    )


def test_forms_are_taken_as_well_as_json(lab: Lab) -> None:
    sent = {"name": "Form", "delay": "0", "project_id": str(lab.world.project.pk), "shuffle": "true"}
    answer = lab.client("superuser").post(JOBS, sent, format="multipart")
    assert answer.status_code == 201
    assert answer.json()["shuffle"] is True


@pytest.mark.parametrize("part", ["deployment_id", "source_image_collection_id", "source_image_single_id"])
def test_parts_of_another_project_are_refused_under_their_name(lab: Lab, part: str) -> None:
    project, capture = other_project()
    theirs = {
        "deployment_id": capture.deployment_id,
        "source_image_collection_id": make_capture_set(project).pk,
        "source_image_single_id": capture.pk,
    }
    answer = lab.post(JOBS, body(lab, **{part: theirs[part]}))
    assert (answer.status_code, answer.json()) == (400, {part: ["This does not belong to the project."]})
    assert not Job.objects.exists()


def test_parts_of_a_hidden_project_do_not_exist(lab: Lab) -> None:
    project, _ = other_project(draft=True)
    hidden = SourceImageCollection.objects.create(project=project, name="Secret")
    answer = lab.post(JOBS, body(lab, source_image_collection_id=hidden.pk), "member")
    assert answer.json() == {
        "source_image_collection_id": [f'Invalid pk "{hidden.pk}" - object does not exist.']
    }


@pytest.mark.parametrize("enabled", [None, False])
def test_a_pipeline_has_to_be_enabled_in_the_project(lab: Lab, enabled: bool | None) -> None:
    pipeline = Pipeline.objects.create(name="Birds", slug="birds")
    if enabled is not None:
        ProjectPipelineConfig.objects.create(project=lab.world.project, pipeline=pipeline, enabled=enabled)
    answer = lab.post(JOBS, body(lab, pipeline_id=pipeline.pk))
    assert (answer.status_code, answer.json()) == (
        400,
        {"pipeline_id": [f"The pipeline {pipeline.pk} is not enabled in this project."]},
    )


def test_only_ml_jobs_have_a_pipeline(lab: Lab) -> None:
    answer = lab.post(JOBS, body(lab, job_type_key="data_storage_sync"))
    assert (answer.status_code, answer.json()) == (
        400,
        {"pipeline_id": ["Jobs of the type data_storage_sync run no pipeline; leave it out."]},
    )


def test_a_job_of_another_type_can_be_created(lab: Lab) -> None:
    sent = {
        "name": "Sync",
        "delay": 0,
        "project_id": lab.world.project.pk,
        "job_type_key": "data_storage_sync",
    }
    shown = lab.post(JOBS, sent).json()
    assert shown["job_type"] == {"name": "Data storage sync", "key": "data_storage_sync"}
    stages = [stage["key"] for stage in shown["progress"]["stages"]]
    assert (shown["dispatch_mode"], stages) == ("internal", ["data_storage_sync", "regroup_sessions"])


def test_without_pull_workers_in_the_project_a_job_is_for_push_services(lab: Lab) -> None:
    lab.world.project.flags = {"async_pipeline_workers": False}
    lab.world.project.save()
    assert lab.post(JOBS, body(lab)).json()["dispatch_mode"] == "sync_api"


def test_a_project_in_the_query_does_not_get_in_the_way(lab: Lab) -> None:
    project, _ = other_project()
    answer = lab.post(f"{JOBS}?project_id={project.pk}", body(lab))
    assert answer.status_code == 201
    assert answer.json()["project"]["id"] == lab.world.project.pk


def test_start_now_in_the_query_submits_the_job(
    lab: Lab, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    sent = body(lab)
    with django_capture_on_commit_callbacks(execute=True):
        answer = lab.post(f"{JOBS}?start_now=true", sent, "data_manager")
    assert (answer.status_code, answer.json()["status"]) == (201, "PENDING")
    assert lab.world.background.asked == [("dispatch", answer.json()["id"])]


@pytest.mark.parametrize("query", ["?start_now=0", "?start_now=false", ""])
def test_start_now_counts_in_the_query_only(lab: Lab, query: str) -> None:
    answer = lab.post(JOBS + query, body(lab, start_now=True), "data_manager")
    assert (answer.status_code, answer.json()["status"]) == (201, "CREATED")


def test_start_now_without_permission_creates_nothing(lab: Lab) -> None:
    answer = lab.post(f"{JOBS}?start_now", body(lab), "member")
    assert (answer.status_code, answer.json()) == (
        403,
        {"detail": "You do not have permission to run this job."},
    )
    assert not Job.objects.exists()


def test_a_member_may_start_a_single_image_job_at_once(lab: Lab) -> None:
    capture = lab.world.captures(1)[0]
    sent = body(lab, source_image_collection_id=None, source_image_single_id=capture.pk)
    answer = lab.post(f"{JOBS}?start_now=1", sent, "member")
    assert (answer.status_code, answer.json()["status"]) == (201, "PENDING")


def test_start_now_of_a_job_that_cannot_run_creates_nothing(lab: Lab) -> None:
    answer = lab.post(f"{JOBS}?start_now=1", body(lab, source_image_collection_id=None))
    assert answer.status_code == 400
    assert "names no captures" in answer.json()["detail"]
    assert not Job.objects.exists()


def test_a_post_without_slash_is_served(lab: Lab) -> None:
    assert lab.post("/api/v2/jobs", body(lab)).status_code == 201
