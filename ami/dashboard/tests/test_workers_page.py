"""Who works, and how everything stands: for members of the projects alone."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core.cache import cache
from pytest_django import DjangoAssertNumQueries
from pytest_django.fixtures import Settings

from ami.base import clock
from ami.dashboard.tests.conftest import Visit
from ami.dashboard.tests.reading import moving, read
from ami.jobs.lifecycle.holders import Worker
from ami.jobs.tests.world import World
from ami.main.models import Project
from ami.ml.models import WorkerInstance
from ami.ml.tests.factories import make_service

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


def gpu(lab: World, name: str = "gpu-1", **fields: object) -> tuple[WorkerInstance, Worker]:
    """A worker of a service of the project, as the pages and as the lifecycle know it."""
    service = make_service(lab.project, lab.pipeline, name=f"Service of {name}")
    instance = WorkerInstance.objects.create(
        holder=f"service:{service.pk}",
        name=name,
        service=service,
        **{"last_seen": clock.now(), "software": "ami-worker", "version": "1.2", **fields},
    )
    return instance, Worker(instance.holder, name, instance.pk)


def test_workers_show_what_they_hold_and_did(lab: World, visit: Visit) -> None:
    instance, worker = gpu(lab)
    job = lab.started_job(5)
    tasks = lab.reserve(job, 4, worker)
    lab.post(job, [lab.success(task) for task in tasks[:3]], worker)
    lab.background.run()
    cells = [seen.text for seen in read(visit("member"), "/workers/").all("td")]
    assert cells[0] == "online"
    assert cells[2:5] == ["1", "3", "0"]
    assert cells[5].split() == ["ami-worker", "1.2"]
    page = read(visit("member"), f"/workers/{instance.pk}/")
    assert f"/jobs/{job.pk}/" in page.links("/jobs/")
    assert "1 image" in page.text


def test_one_who_went_silent_is_shown_as_silent(lab: World, visit: Visit) -> None:
    instance, _ = gpu(lab, last_seen=clock.now() - timedelta(hours=2))
    page = read(visit("member"), "/workers/")
    assert "silent" in page.text
    assert page.all("time", **{"data-ago": ""})[0].attributes["datetime"] == instance.last_seen.isoformat(
        timespec="seconds"
    )
    assert "Silent" in read(visit("member"), f"/workers/{instance.pk}/").text


@pytest.mark.parametrize("who", ["anonymous", "outsider"])
def test_strangers_see_no_worker(who: str, lab: World, visit: Visit) -> None:
    instance, _ = gpu(lab, name="secret-host")
    assert "secret" not in read(visit(who), "/workers/").html
    assert visit(who).get(f"/workers/{instance.pk}/").status_code == 404
    assert "secret" not in read(visit(who), "/overview/").html


def test_a_worker_of_two_projects_shows_what_the_person_may_see(lab: World, visit: Visit) -> None:
    instance, worker = gpu(lab)
    other = Project.objects.create(name="Elsewhere")
    assert instance.service is not None
    instance.service.projects.add(other)
    job = lab.started_job(2)
    lab.work_off(job, worker)
    lab.project, lab.deployment.project = other, other
    assert f"/jobs/{job.pk}/" in read(visit("member"), f"/workers/{instance.pk}/").html
    assert [seen.text for seen in read(visit("superuser"), "/workers/").all("td")][3] == "2"


def test_without_redis_pages_say_that_they_do_not_know(lab: World, visit: Visit, settings: Settings) -> None:
    instance, _ = gpu(lab)
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    assert "Redis does not answer" in read(visit("member"), f"/workers/{instance.pk}/").text
    cache.clear()
    assert "Redis does not answer" in read(visit("member"), "/overview/").text


def test_open_pages_follow_for_those_who_may_see_them(lab: World, visit: Visit) -> None:
    gpu(lab, name="gpu-7")
    for address in ("/workers/", "/overview/"):
        follow = moving(visit("member"), address)
        assert "gpu-7" in visit("member").get(follow).content.decode()
        assert "gpu-7" not in visit("outsider").get(moving(visit("outsider"), address)).content.decode()


def test_the_overview_adds_up(lab: World, visit: Visit) -> None:
    _, worker = gpu(lab)
    job = lab.started_job(5, name="Night 12")
    lab.reserve(job, 2, worker)
    page = read(visit("member"), "/overview/")
    numbers = [seen.text for seen in page.all("dd")]
    assert numbers == ["1", "5", "2", "nothing", "1"]
    assert "Night 12" in page.text
    assert "gpu-1" in page.text


def test_an_overview_counts_the_projects_that_the_person_may_see(lab: World, visit: Visit) -> None:
    lab.started_job(5)
    Project.objects.filter(pk=lab.project.pk).update(draft=True)
    numbers = [seen.text for seen in read(visit("outsider"), "/overview/").all("dd")]
    assert numbers[:2] == ["0", "0"]
    assert [seen.text for seen in read(visit("member"), "/overview/").all("dd")][:2] == ["1", "5"]


def test_people_with_an_account_begin_at_the_overview(visit: Visit, lab: World) -> None:
    assert visit("member").get("/").headers["Location"] == "/overview/"
    assert visit("anonymous").get("/").headers["Location"] == "/projects/"


def test_both_pages_cost_the_same_however_many_workers_there_are(
    lab: World, visit: Visit, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(6):
        _, worker = gpu(lab, f"gpu-{number}")
        lab.work_off(lab.started_job(1), worker)
    lab.started_job(1)
    lab.started_job(1)
    client = visit("member")
    with django_assert_max_num_queries(6):  # session, person, projects, permissions, workers, what they did
        assert len(read(client, "/workers/").all("td")) == 36
    # the same, and: what is left, what was done, the jobs, their stages
    with django_assert_max_num_queries(10):
        assert len(read(client, "/overview/").all("tr")) == 7
