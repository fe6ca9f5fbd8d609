"""Servers that go away in the middle of a job: what workers are told meanwhile, and how the job ends."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

from ami.tests.e2e.platform import Platform
from ami.tests.e2e.project import Project

IMAGES = 12
CALLS = 15


def _seconds(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def test_nats_outage_costs_a_quick_503_and_nothing_else(platform: Platform, project: Project) -> None:
    project.upload_blank(IMAGES)
    job_id = project.start_job()
    held = project.hold(job_id, 4)

    def list_projects() -> None:
        platform.ask("GET", "/projects/")

    usual = statistics.median(_seconds(list_projects) for _ in range(CALLS))
    with platform.without_nats():
        began = time.perf_counter()
        refused = project.try_reserve(job_id, 4)
        assert time.perf_counter() - began < 1.5
        assert refused.status_code == 503
        assert int(refused.headers["Retry-After"]) >= 1
        later = []
        for _ in range(CALLS):
            began = time.perf_counter()
            assert project.try_reserve(job_id, 4).status_code == 503
            later.append(time.perf_counter() - began)
        assert statistics.median(later) < 0.05
        assert statistics.median(_seconds(list_projects) for _ in range(CALLS)) < 2 * usual + 0.01
        began = time.perf_counter()
        assert project.post(job_id, held) == ["queued"] * 4
        assert time.perf_counter() - began < 1.5
    project.post(job_id, project.hold(job_id, 4))
    project.assert_exact(project.work_off(job_id), IMAGES)


def test_job_ends_exact_when_redis_loses_everything_in_the_middle(
    platform: Platform, project: Project
) -> None:
    project.upload_blank(IMAGES)
    job_id = project.start_job()
    first, second = project.hold(job_id, 4), project.hold(job_id, 4)
    project.post(job_id, first)
    platform.flush_redis()
    assert project.post(job_id, second) == ["queued"] * 4
    project.assert_exact(project.work_off(job_id), IMAGES)
