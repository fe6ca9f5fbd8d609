"""What the numbers of a job mean: stages, and the verdict."""

from __future__ import annotations

from typing import Any

import pytest

from ami.jobs.progress import Counts, Stage, ml_stages, new_ml_stages, overall, verdict
from ami.jobs.states import JobState

HALF = 0.5


def stages(counts: Counts, status: JobState = JobState.STARTED, **more: Any) -> dict[str, Stage]:
    """The stages of a collected job, by key."""
    made = ml_stages(counts, status=status, **({"collected": True, "threshold": HALF} | more))
    return {stage.key: stage for stage in made}


def figures(stage: Stage) -> dict[str, Any]:
    """The figures of a stage, by key."""
    return {figure.key: figure.value for figure in stage.figures}


@pytest.mark.parametrize(
    ("failed", "of", "threshold", "expected"),
    [
        (0, 4, HALF, JobState.SUCCESS),
        (2, 4, HALF, JobState.SUCCESS),
        (3, 4, HALF, JobState.FAILURE),
        (4, 4, HALF, JobState.FAILURE),
        (1, 100, 0.0, JobState.FAILURE),
        (100, 100, 1.0, JobState.SUCCESS),
        (0, 0, HALF, JobState.SUCCESS),
    ],
)
def test_a_job_fails_above_the_threshold_and_not_at_it(
    failed: int, of: int, threshold: float, expected: JobState
) -> None:
    assert verdict(Counts(total=of, processed=of - failed, failed=failed), threshold) == expected


def test_cancelled_images_have_no_part_in_the_verdict() -> None:
    assert verdict(Counts(total=10, cancelled=7, processed=1, failed=2), HALF) == JobState.FAILURE
    assert verdict(Counts(total=10, cancelled=10), HALF) == JobState.SUCCESS


def test_an_image_counts_in_process_when_its_result_is_here_and_in_results_when_it_is_saved() -> None:
    made = stages(
        Counts(total=10, pending=4, received=3, processed=2, failed=1, detections=5, classifications=4)
    )
    assert figures(made["process"]) == {"processed": 6, "remaining": 4, "failed": 1}
    assert figures(made["results"]) == {"captures": 2, "detections": 5, "classifications": 4}
    assert (made["process"].progress, made["results"].progress) == (0.6, 0.3)
    assert {stage.status for stage in made.values()} == {JobState.SUCCESS, JobState.STARTED}


def test_a_stage_is_no_failure_before_it_is_complete() -> None:
    nearly = stages(Counts(total=4, pending=1, failed=3))
    assert nearly["process"].status == nearly["results"].status == JobState.STARTED
    complete = stages(Counts(total=4, processed=1, failed=3))
    assert complete["process"].status == complete["results"].status == JobState.FAILURE


def test_the_process_stage_may_be_complete_before_the_results_are() -> None:
    made = stages(Counts(total=2, received=1, processed=1))
    assert made["process"].status == JobState.SUCCESS
    assert made["results"].status == JobState.STARTED


def test_stages_are_complete_with_zero_images_once_collecting_is_over() -> None:
    done = stages(Counts())
    assert {(stage.status, stage.progress) for stage in done.values()} == {(JobState.SUCCESS, 1.0)}
    before = stages(Counts(), collected=False)
    assert {stage.progress for stage in before.values()} == {0.0}
    assert before["collect"].status == JobState.STARTED


def test_nothing_is_complete_while_captures_are_still_collected() -> None:
    made = stages(Counts(total=2, failed=2), collected=False)
    assert made["process"].status == made["results"].status == JobState.STARTED
    assert {stage.progress for stage in made.values()} == {0.0}, "progress never falls"


def test_a_cancelled_job_shows_how_far_it_came() -> None:
    made = stages(Counts(total=10, processed=3, failed=1, cancelled=6), JobState.REVOKED)
    assert (made["process"].progress, made["results"].progress) == (0.4, 0.4)
    assert figures(made["process"]) == {"processed": 4, "remaining": 6, "failed": 1}
    assert made["process"].status == made["results"].status == JobState.REVOKED


def test_a_job_cancelled_while_collecting_says_so_at_that_stage() -> None:
    made = stages(Counts(total=10, cancelled=10), JobState.REVOKED, collected=False)
    assert {stage.status for stage in made.values()} == {JobState.REVOKED}


def test_images_left_cancelled_by_a_retry_of_the_failed_ones_do_not_hold_up_the_stages() -> None:
    made = stages(Counts(total=10, processed=4, cancelled=6), JobState.SUCCESS)
    assert {(stage.status, stage.progress) for stage in made.values()} == {(JobState.SUCCESS, 1.0)}
    assert figures(made["process"])["remaining"] == 0


def test_a_new_job_has_empty_figures_in_the_order_of_the_wire() -> None:
    assert [(stage.key, list(figures(stage))) for stage in new_ml_stages()] == [
        ("collect", ["total_images"]),
        ("process", ["processed", "remaining", "failed"]),
        ("results", ["captures", "detections", "classifications"]),
    ]
    assert {value for stage in new_ml_stages() for value in figures(stage).values()} == {""}


def test_a_delay_is_a_stage_of_its_own_in_front() -> None:
    assert [stage.key for stage in new_ml_stages(30)] == ["delay", "collect", "process", "results"]
    waiting = stages(Counts(), JobState.PENDING, collected=False, delay=30)["delay"]
    assert (waiting.status, waiting.progress) == (JobState.PENDING, 0.0)
    begun = stages(Counts(), JobState.STARTED, collected=False, delay=30)["delay"]
    assert (begun.status, begun.progress) == (JobState.SUCCESS, 1.0)


def test_progress_is_the_mean_of_the_stages() -> None:
    assert overall([1.0, 0.5, 0.0]) == 0.5
    assert overall([]) == 0.0
