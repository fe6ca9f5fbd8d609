"""Request 1: looking for jobs (part B, 2, 5 and 6)."""

from __future__ import annotations

import requests

from ami.ml.models import ProcessingService
from ami.tests.contract.field_models import SLUG, SLUGS
from ami.tests.contract.platform import Platform
from ami.tests.contract.worker import PullWorker


def test_1_a_poll_without_slash_is_redirected_with_its_query_and_its_token(
    platform: Platform, worker: PullWorker
) -> None:
    job_id = platform.start_job()
    answer = worker.get("/jobs", params={"pipeline__slug__in": ",".join(SLUGS), "ids_only": "1"})
    assert [step.status_code for step in answer.history] == [301]
    assert "%2C" in answer.history[0].url
    assert answer.url.endswith("/jobs/?" + answer.history[0].url.partition("?")[2])
    assert answer.request.headers["Authorization"] == f"Token {worker.token}"
    assert [(job["id"], job["pipeline_slug"]) for job in answer.json()["results"]] == [(job_id, SLUG)]


def test_1_a_started_job_is_found_by_its_slug_and_by_no_other(platform: Platform, worker: PullWorker) -> None:
    job_id = platform.start_job()
    assert [(job.id, job.pipeline_slug) for job in worker.poll(SLUGS)] == [(job_id, SLUG)]
    assert worker.poll(["moth_binary"]) == []


def test_1_one_job_a_poll_and_each_in_its_turn(platform: Platform, worker: PullWorker) -> None:
    jobs = {platform.start_job(images=1) for _ in range(2)}
    seen: set[int] = set()
    for _ in range(40):
        (job,) = worker.poll(SLUGS)
        seen.add(job.id)
        if seen == jobs:
            break
    assert seen == jobs


def test_1_an_idle_worker_hears_of_no_jobs(platform: Platform, worker: PullWorker) -> None:
    assert worker.poll(SLUGS) == []


def test_1_a_drained_job_is_not_offered_again(platform: Platform, worker: PullWorker) -> None:
    job_id = platform.start_job(images=2)
    assert len(worker.fetch(job_id)) == 2
    assert worker.poll(SLUGS) == []


def test_1_a_bad_token_gets_a_401_that_the_worker_takes_for_no_jobs(platform: Platform) -> None:
    with requests.Session() as session:
        answer = session.get(f"{platform.base}/jobs", headers={"Authorization": f"Token {'f' * 40}"})
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Token"
    assert answer.json() == {"detail": "Invalid token."}


def test_polls_alone_keep_a_service_online(platform: Platform, worker: PullWorker) -> None:
    ProcessingService.objects.update(last_seen=None, last_seen_live=False)
    worker.poll(SLUGS)
    assert ProcessingService.objects.get().is_online
