"""Requests 2 and 3: taking tasks and loading images (part B, 2, 5 and 6)."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
from pytest_django.fixtures import Settings

from ami.taskqueue.tests.waiting import wait_for
from ami.tests.contract.field_models import SLUG, SLUGS
from ami.tests.contract.platform import Platform
from ami.tests.contract.worker import PullWorker, load


def test_2_tasks_are_handed_out_up_to_the_batch_and_then_none(platform: Platform, worker: PullWorker) -> None:
    job_id = platform.start_job(images=5)
    first, second, third = worker.fetch(job_id, 3), worker.fetch(job_id, 3), worker.fetch(job_id, 3)
    assert [len(first), len(second), len(third)] == [3, 2, 0]
    assert all(task.id == task.image_id and task.reply_subject for task in first + second)


def test_2_processes_that_fetch_side_by_side_never_get_the_same_image(
    platform: Platform, worker: PullWorker
) -> None:
    job_id = platform.start_job(images=60)

    def drain(_: int) -> list[str]:
        mine = []
        while tasks := worker.fetch(job_id, 4):
            mine += [task.id for task in tasks]
        return mine

    with ThreadPoolExecutor(4) as processes:
        fetched = Counter(image for mine in processes.map(drain, range(4)) for image in mine)
    assert len(fetched) == 60
    assert set(fetched.values()) == {1}


@pytest.mark.parametrize("end", ["cancelled", "done"])
def test_2_a_job_that_has_ended_answers_with_no_tasks(
    platform: Platform, worker: PullWorker, end: str
) -> None:
    job_id = platform.start_job(images=1)
    if end == "cancelled":
        platform.ask("POST", f"/jobs/{job_id}/cancel/")
    else:
        worker.work(SLUGS)
        platform.background.run()
        assert platform.job(job_id)["status"] == "SUCCESS"
    assert worker.fetch(job_id) == []


def test_2_a_batch_size_below_one_is_a_400(platform: Platform, worker: PullWorker) -> None:
    job_id = platform.start_job(images=1)
    with pytest.raises(requests.HTTPError) as refused:
        worker.fetch(job_id, 0)
    assert refused.value.response.status_code == 400


def test_2_what_a_worker_lost_comes_again_and_the_job_still_ends_well(
    platform: Platform, worker: PullWorker, settings: Settings
) -> None:
    settings.NATS_TASK_TTR = 0.5
    job_id = platform.start_job(images=3)
    lost = {task.id for task in worker.fetch(job_id)}
    again = wait_for(lambda: worker.fetch(job_id))
    while len(again) < 3:
        again += worker.fetch(job_id)
    assert {task.id for task in again} == lost
    worker.send(job_id, worker.process(SLUG, again))
    platform.background.run()
    assert platform.job(job_id)["status"] == "SUCCESS"
    assert platform.figures(job_id)["processed"] == 3


def test_3_images_are_loaded_without_the_token(platform: Platform, worker: PullWorker) -> None:
    job_id = platform.start_job(images=2)
    for task in worker.fetch(job_id):
        assert task.image_url.startswith(platform.base)
        image = load(task.image_url)
        assert image is not None
        assert image.size == (64, 48)


def test_a_worker_of_another_project_gets_no_tasks(platform: Platform, worker: PullWorker) -> None:
    job_id = platform.start_job(images=1)
    stranger = Platform(platform.base, platform.background).registered_worker()
    assert stranger.poll(SLUGS) == []
    with pytest.raises(requests.HTTPError) as refused:
        stranger.fetch(job_id)
    assert refused.value.response.status_code == 403
    assert len(worker.fetch(job_id)) == 1
