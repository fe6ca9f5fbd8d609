"""Which images a slice of pushing leases next, and for how long."""

from __future__ import annotations

import pytest
from pytest_django.fixtures import Settings

from ami.base.database import execute
from ami.jobs import transitions
from ami.jobs.invariants import check
from ami.jobs.lifecycle import claims
from ami.jobs.lifecycle.claims import Claim
from ami.jobs.lifecycle.collect import collect_chunk
from ami.jobs.lifecycle.holders import Worker
from ami.jobs.lifecycle.push.batches import Batches
from ami.jobs.models import Job, JobTask
from ami.jobs.tests.push_service import PushService
from ami.jobs.tests.test_push import captures_of, enlist, pushed_job
from ami.jobs.tests.world import World

pytestmark = pytest.mark.integration


def leased_images(batches: Batches, *, undisturbed: bool) -> list[int]:
    """The images of the next batch; none when there is no batch now."""
    batch = batches.next(Worker("service:1", "GPU"), undisturbed=undisturbed)
    return [image.lease.image_id for image in batch or ()]


@pytest.fixture
def collected(world: World) -> tuple[Job, Claim]:
    """A job of eight images that are there to be pushed, and the claim on it."""
    enlist(world, PushService(world.pipeline.slug))
    job = pushed_job(world, 8)
    claim = claims.take(job.pk)
    assert claim is not None
    transitions.start(job.pk, 1)
    collect_chunk(claim)
    return job, claim


def test_an_image_on_its_last_attempt_comes_last_and_while_nothing_else_is_under_way(
    collected: tuple[Job, Claim],
) -> None:
    job, claim = collected
    images = captures_of(job)
    JobTask.objects.filter(job=job, image_id__in=[images[1], images[6]]).update(attempt=2, worker="GPU")
    batches = Batches(claim, 0, 4)
    together = [leased_images(batches, undisturbed=False) for _ in range(2)]
    assert [image for batch in together for image in batch] == [
        image for image in images if image not in (images[1], images[6])
    ]
    assert leased_images(batches, undisturbed=False) == []
    assert (batches.pass_over, batches.position) == (True, 0)
    assert leased_images(batches, undisturbed=True) == [images[1]]
    assert leased_images(batches, undisturbed=False) == []
    assert leased_images(batches, undisturbed=True) == [images[6]]
    assert leased_images(batches, undisturbed=True) == []


def test_images_that_go_alone_are_leased_one_by_one_so_that_none_waits_under_its_lease(
    collected: tuple[Job, Claim],
) -> None:
    job, claim = collected
    images = captures_of(job)
    JobTask.objects.filter(job=job, image_id__in=images[2:5]).update(attempt=1, worker="GPU")
    batches = Batches(claim, 0, 4)
    seen = []
    while batch := leased_images(batches, undisturbed=False):
        seen.append(batch)
        assert JobTask.objects.filter(job=job, leased_until__isnull=False).count() == sum(map(len, seen))
    assert seen == [images[:2], [images[2]], [images[3]], [images[4]], images[5:]]


def test_a_lease_of_a_service_is_no_violation_and_its_failures_must_name_it(
    collected: tuple[Job, Claim], settings: Settings
) -> None:
    job, claim = collected
    settings.NATS_TASK_TTR = 0.5
    leased_images(Batches(claim, 0, 4), undisturbed=True)
    assert check([job.pk]) == []
    execute(
        """UPDATE jobs_jobtask SET status = 3, error_code = 'service_error', error_text = 'HTTP 500',
        worker = '', leased_until = NULL, finished_at = clock_timestamp()
        WHERE job_id = %s AND attempt > 0""",
        [job.pk],
    )
    assert [str(violation)[:2] for violation in check([job.pk])] == ["I2", "I2"]
