"""Which state may follow which: a table, checked as a table."""

from __future__ import annotations

import pytest

from ami.jobs.states import (
    ALLOWED,
    CANCELABLE,
    FINAL,
    OPEN,
    RUNNING,
    SERVING,
    ErrorCode,
    JobState,
    TaskState,
    sources_of,
)


def test_every_state_has_its_rule() -> None:
    assert set(ALLOWED) == set(JobState)


@pytest.mark.parametrize("state", sorted(FINAL))
def test_a_final_state_is_left_only_towards_a_new_run(state: JobState) -> None:
    assert ALLOWED[state] == {JobState.PENDING}


@pytest.mark.parametrize("target", list(JobState))
def test_no_state_is_entered_from_a_final_one_within_a_run(target: JobState) -> None:
    assert not sources_of(target) & FINAL


@pytest.mark.parametrize("verdict", [JobState.SUCCESS, JobState.FAILURE])
def test_a_verdict_ends_only_running_jobs(verdict: JobState) -> None:
    assert sources_of(verdict) == RUNNING


def test_whatever_is_not_final_can_be_cancelled() -> None:
    assert set(JobState) - FINAL == CANCELABLE
    assert sources_of(JobState.REVOKED) == CANCELABLE


def test_only_a_created_job_is_submitted() -> None:
    assert sources_of(JobState.PENDING) == {JobState.CREATED}


def test_tasks_are_served_only_while_the_job_runs() -> None:
    assert SERVING < RUNNING
    assert JobState.PENDING not in SERVING


def test_the_stored_numbers_of_task_states_never_change() -> None:
    assert {state.name: state.value for state in TaskState} == {
        "PENDING": 0,
        "RECEIVED": 1,
        "PROCESSED": 2,
        "FAILED": 3,
        "CANCELLED": 4,
    }
    assert set(OPEN) == {TaskState.PENDING, TaskState.RECEIVED}


def test_every_reason_for_a_failed_image_has_its_code() -> None:
    assert set(ErrorCode.values) == {
        "worker_error",
        "unreadable_image",
        "no_url",
        "rejected_result",
        "delivery_exhausted",
        "save_error",
        "service_error",
        "service_timeout",
        "capture_deleted",
    }
