"""Whole jobs, from registration to SUCCESS, by workers as they are in the field."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

from ami.ml.models import Classification, Detection
from ami.tests.contract.field_models import SLUGS
from ami.tests.contract.platform import Platform
from ami.tests.contract.worker import PullWorker


def test_a_job_is_worked_off_to_success(platform: Platform, worker: PullWorker) -> None:
    job_id = platform.start_job(images=9)
    with platform.background_at_work():
        job = platform.wait_for_end(job_id, worker)
    assert job["status"] == "SUCCESS"
    assert job["progress"]["summary"] == {"status": "SUCCESS", "progress": 1.0}
    assert float(job["duration"]) > 0
    assert platform.figures(job_id) == {
        "total_images": 9,
        "processed": 9,
        "remaining": 0,
        "failed": 0,
        "captures": 9,
        "detections": 9,
        "classifications": 15,
    }
    assert Detection.objects.real().count() == 9
    assert Detection.objects.filter(x1__isnull=True).count() == 3
    assert Classification.objects.count() == 15


def test_two_workers_drain_two_jobs_and_no_image_is_done_twice(platform: Platform) -> None:
    workers = [platform.registered_worker(), platform.registered_worker()]
    jobs = [platform.start_job(images=24), platform.start_job(images=24)]
    stop = threading.Event()

    def go_on(worker: PullWorker) -> int:
        done = 0
        while not stop.is_set():
            done += worker.work(SLUGS, batch_size=5)
        return done

    with platform.background_at_work(), ThreadPoolExecutor(2) as pool:
        running = [pool.submit(go_on, worker) for worker in workers]
        try:
            for job_id in jobs:
                platform.wait_for_end(job_id, platform.worker())
        finally:
            stop.set()
        done = [future.result(20) for future in running]
    assert sum(done) <= 48
    for job_id in jobs:
        assert platform.job(job_id)["status"] == "SUCCESS"
        assert platform.figures(job_id)["processed"] == 24
        assert platform.figures(job_id)["failed"] == 0
