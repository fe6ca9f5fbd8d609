"""The JSON of a job, key by key (contract 1.8)."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ami.jobs.models import Job
from ami.jobs.tests.api.lab import Lab, at

pytestmark = pytest.mark.integration

KEYS = [
    "id",
    "details",
    "name",
    "delay",
    "limit",
    "shuffle",
    "project",
    "deployment",
    "source_image_collection",
    "source_image_single",
    "pipeline",
    "status",
    "created_at",
    "updated_at",
    "started_at",
    "finished_at",
    "duration",
    "progress",
    "logs",
    "job_type",
    "data_export",
    "dispatch_mode",
    "result",
    "user_permissions",
    "priority",
    "waiting_for",
    "notify_by_email",
]
UTC_WITH_MICROSECONDS = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


def params(job: dict[str, Any], stage: str) -> list[dict[str, Any]]:
    """The figures of a stage."""
    found = next(s for s in job["progress"]["stages"] if s["key"] == stage)
    shown: list[dict[str, Any]] = found["params"]
    return shown


def test_a_job_has_the_keys_of_the_contract_in_their_order(lab: Lab) -> None:
    assert list(lab.get(at(lab.world.started_job())).json()) == KEYS


def test_a_listed_job_is_the_same_without_its_result(lab: Lab) -> None:
    job = lab.world.started_job()
    listed, alone = lab.get().json()["results"][0], lab.get(at(job)).json()
    assert list(listed) == [key for key in KEYS if key != "result"]
    assert {**alone, "logs": None, "result": None} == {**listed, "logs": None, "result": None}


def test_parts_of_a_job_have_their_keys_in_order(lab: Lab) -> None:
    shown = lab.get(at(lab.world.job(deployment=lab.world.deployment))).json()
    assert list(shown["project"]) == ["id", "name", "details", "user_permissions"]
    assert list(shown["deployment"]) == ["id", "name", "details", "user_permissions"]
    assert list(shown["source_image_collection"]) == ["id", "name", "details", "method", "user_permissions"]
    assert list(shown["pipeline"]) == [
        "id",
        "details",
        "name",
        "slug",
        "description",
        "version",
        "version_name",
        "created_at",
        "updated_at",
        "user_permissions",
    ]
    assert list(shown["progress"]) == ["summary", "stages", "errors", "logs"]
    assert list(shown["progress"]["summary"]) == ["status", "progress"]
    assert list(shown["logs"]) == ["stdout", "stderr"]
    assert shown["job_type"] == {"name": "ML pipeline", "key": "ml"}


def test_a_single_capture_is_shown_with_its_address(lab: Lab) -> None:
    job = lab.single_image_job()
    capture = lab.get(at(job)).json()["source_image_single"]
    assert list(capture)[:7] == ["id", "details", "url", "width", "height", "timestamp", "event_id"]
    assert capture["id"] == job.source_image_single_id
    assert capture["url"].startswith("https://images.example/")
    assert UTC_WITH_MICROSECONDS.fullmatch(capture["timestamp"])


def test_links_are_absolute_and_lead_back(lab: Lab) -> None:
    job = lab.world.job()
    shown = lab.get(at(job)).json()
    assert shown["details"] == f"http://testserver/api/v2/jobs/{job.pk}/"
    for part in ("project", "source_image_collection", "pipeline"):
        assert lab.get(shown[part]["details"]).json()["id"] == shown[part]["id"]


def test_a_new_job_has_its_stages_with_empty_strings_for_figures(lab: Lab) -> None:
    shown = lab.get(at(lab.world.job())).json()
    assert shown["progress"] == {
        "summary": {"status": "CREATED", "progress": 0.0},
        "stages": [
            {
                "status": "CREATED",
                "progress": 0.0,
                "key": key,
                "name": name,
                "params": [
                    {"name": label, "key": param, "category": "default", "value": ""}
                    for label, param in figures
                ],
            }
            for key, name, figures in (
                ("collect", "Collect", [("Total Images", "total_images")]),
                (
                    "process",
                    "Process",
                    [("Processed", "processed"), ("Remaining", "remaining"), ("Failed", "failed")],
                ),
                (
                    "results",
                    "Results",
                    [
                        ("Captures", "captures"),
                        ("Detections", "detections"),
                        ("Classifications", "classifications"),
                    ],
                ),
            )
        ],
        "errors": [],
        "logs": [],
    }


def test_keys_inside_a_stage_and_a_figure_keep_their_order(lab: Lab) -> None:
    shown = lab.get(at(lab.world.started_job())).json()
    for stage in shown["progress"]["stages"]:
        assert list(stage) == ["status", "progress", "key", "name", "params"]
        assert all(list(param) == ["name", "key", "category", "value"] for param in stage["params"])


def test_figures_are_numbers_once_they_are_known(lab: Lab) -> None:
    shown = lab.get(at(lab.world.started_job(images=3))).json()
    assert [param["value"] for param in params(shown, "collect")] == [3]
    assert [param["value"] for param in params(shown, "process")] == [0, 3, 0]
    assert [param["value"] for param in params(shown, "results")] == [0, 0, 0]


def test_the_summary_is_the_mean_of_the_stages(lab: Lab) -> None:
    job = lab.world.started_job(images=4)
    lab.post(at(job, "result"), {"results": [lab.success(task) for task in lab.tasks(job, 1)]})
    lab.world.background.refresh(job.pk)
    lab.world.background.run("refresh")
    progress = lab.get(at(job)).json()["progress"]
    assert [stage["progress"] for stage in progress["stages"]] == [1.0, 0.25, 0.0]
    assert progress["summary"] == {"status": "STARTED", "progress": pytest.approx(1.25 / 3)}


def test_a_delayed_job_shows_its_delay_first(lab: Lab) -> None:
    stage = lab.get(at(lab.world.job(delay=30))).json()["progress"]["stages"][0]
    assert (stage["key"], stage["name"]) == ("delay", "Delay")
    assert [(param["key"], param["name"]) for param in stage["params"]] == [
        ("delay", "Delay"),
        ("mood", "Mood"),
    ]
    assert stage["params"][0]["value"] == 30
    assert isinstance(stage["params"][1]["value"], str)


def test_times_are_utc_with_microseconds(lab: Lab) -> None:
    job = lab.world.started_job()
    Job.objects.filter(pk=job.pk).update(started_at=datetime(2026, 4, 15, 10, 0, tzinfo=UTC))
    shown = lab.get(at(job)).json()
    assert shown["started_at"] == "2026-04-15T10:00:00.000000Z"
    assert UTC_WITH_MICROSECONDS.fullmatch(shown["created_at"])
    assert UTC_WITH_MICROSECONDS.fullmatch(shown["updated_at"])
    assert shown["finished_at"] is None


def test_the_duration_is_a_string_of_seconds_once_the_job_has_ended(lab: Lab) -> None:
    job = lab.world.job()
    began = datetime(2026, 4, 15, 10, 0, tzinfo=UTC)
    Job.objects.filter(pk=job.pk).update(started_at=began)
    assert lab.get(at(job)).json()["duration"] is None
    Job.objects.filter(pk=job.pk).update(finished_at=began + timedelta(seconds=751, milliseconds=120))
    assert lab.get(at(job)).json()["duration"] == "751.12"
    assert lab.get().json()["results"][0]["duration"] == "751.12"


def test_what_health_checks_noticed_is_in_the_errors_of_the_progress(lab: Lab) -> None:
    job = lab.world.job()
    Job.objects.filter(pk=job.pk).update(diagnostics=["2 images were lost: 7, 8."])
    assert lab.get(at(job)).json()["progress"]["errors"] == ["2 images were lost: 7, 8."]


@pytest.mark.parametrize(
    ("who", "allowed"),
    [
        ("anonymous", []),
        ("outsider", []),
        ("member", ["run_single_image"]),
        ("data_manager", ["update", "run", "run_single_image"]),
        ("worker", ["result", "tasks"]),
        ("superuser", ["update", "delete", "result", "run", "run_single_image", "tasks"]),
    ],
)
def test_a_job_says_what_the_caller_may_do_to_it(lab: Lab, who: str, allowed: list[str]) -> None:
    job = lab.world.job()
    assert lab.get(at(job), who).json()["user_permissions"] == allowed
    assert lab.get(who=who).json()["results"][0]["user_permissions"] == allowed
