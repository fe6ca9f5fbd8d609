"""The page of a job: how it stands, why images failed, and who may see and press what."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client
from pytest_django import DjangoAssertNumQueries
from time_machine import TimeMachineFixture

from ami.base import clock
from ami.dashboard.live import memory
from ami.dashboard.live.passes import GOOD_FOR_SECONDS, Pass, issue
from ami.dashboard.tests.conftest import Visit
from ami.dashboard.tests.reading import moving, read
from ami.jobs.models import Job, JobTask
from ami.jobs.tests.world import World
from ami.main.models import Project, ProjectMembership
from ami.main.tests.people import People
from ami.users.models import User

pytestmark = [pytest.mark.integration, pytest.mark.django_db]
EVERYBODY = ["anonymous", "outsider", "member", "data_manager", "manager", "superuser"]


def buttons(client: Client, job: Job) -> list[str]:
    """Where the buttons of a job's page go, below its address."""
    page = read(client, f"/jobs/{job.pk}/")
    start = f"/jobs/{job.pk}/"
    return [seen.attributes["formaction"].removeprefix(start) for seen in page.all("button", form="act")]


def look_again() -> None:
    """Let the next look be a new one."""
    cache.clear()
    memory.forget()


def ended(lab: World, *errors: str, good: int = 1) -> Job:
    """A job that ended with these errors of its worker, and `good` images."""
    job = lab.started_job(len(errors) + good)
    tasks = lab.reserve(job)
    items = [lab.error(task, text, retryable=False) for task, text in zip(tasks, errors, strict=False)]
    lab.post(job, items + [lab.success(task) for task in tasks[len(errors) :]])
    lab.background.run()
    job.refresh_from_db()
    assert job.is_final
    return job


def test_a_running_job_shows_its_stages_and_who_waits_for_whom(lab: World, visit: Visit) -> None:
    job = lab.started_job(3, name="Night 12")
    page = read(visit("anonymous"), f"/jobs/{job.pk}/")
    assert page.status == 200
    assert "Night 12" in page.text
    assert "Started" in page.text
    assert "Processed 0 · Remaining 3 · Failed 0" in page.text
    assert [seen.attributes["value"] for seen in page.all("progress")] == ["100", "0", "0"]
    Job.objects.filter(pk=job.pk).update(waiting_for="waiting for workers: none online.")
    cache.clear()
    assert "Waiting for workers: none online." in read(visit("anonymous"), f"/jobs/{job.pk}/").text


def test_what_failed_is_grouped_and_leads_to_the_captures(lab: World, visit: Visit) -> None:
    job = ended(lab, "CUDA out of memory", "CUDA out of memory", "file is truncated")
    page = read(visit("member"), f"/jobs/{job.pk}/")
    assert "3 images: The worker reported an error" in page.text
    assert "CUDA out of memory 2 ×" in page.text  # noqa: RUF001 - as the page says it
    failed = JobTask.objects.filter(job=job, failed_at__isnull=False).values_list("image_id", flat=True)
    assert {f"/captures/{image}/" for image in failed} == set(page.links("/captures/"))


@pytest.mark.parametrize("who", EVERYBODY)
def test_only_members_read_what_workers_and_logs_say(who: str, lab: World, visit: Visit) -> None:
    job = ended(lab, "cannot open /srv/secret/host7.jpg")
    page = read(visit(who), f"/jobs/{job.pk}/")
    inside = who not in {"anonymous", "outsider"}
    assert ("secret" in page.html) == inside
    assert ("Job submitted." in page.text) == inside
    assert "The worker reported an error" in page.text


@pytest.mark.parametrize("who", EVERYBODY)
def test_buttons_are_for_those_who_may_press_them(who: str, lab: World, visit: Visit) -> None:
    job = lab.started_job(1)
    may = who in {"data_manager", "manager", "superuser"}
    assert buttons(visit(who), job) == (["cancel/"] if may else [])
    assert visit(who).get(f"/jobs/{job.pk}/cancel/").status_code == 405
    answer = visit(who).post(f"/jobs/{job.pk}/cancel/")
    assert answer.status_code == (302 if may or who == "anonymous" else 403)
    job.refresh_from_db()
    assert (job.status == "REVOKED") == may


def test_buttons_follow_the_state(lab: World, visit: Visit) -> None:
    assert buttons(visit("manager"), lab.job(1)) == ["run/", "cancel/"]
    assert buttons(visit("manager"), ended(lab)) == []
    assert buttons(visit("manager"), ended(lab, "boom")) == ["run/", "retry-failed/"]


def test_run_and_cancel_do_what_they_say_and_the_log_says_who(
    lab: World, visit: Visit, people: People
) -> None:
    job = lab.job(2)
    client = visit("manager")
    answer: Any = client.post(f"/jobs/{job.pk}/run/", follow=True)
    assert "The job was submitted." in answer.content.decode()
    answer = client.post(f"/jobs/{job.pk}/cancel/", follow=True)
    assert "The job was cancelled." in answer.content.decode()
    answer = client.post(f"/jobs/{job.pk}/cancel/", follow=True)
    assert "The job had ended already." in answer.content.decode()
    person = f"user {people.user('manager').pk}"
    said = list(job.log_entries.order_by("pk").values_list("message", flat=True))
    assert any(f"{person} asked: run." in line.lower() for line in said)
    assert any(f"cancelled by {person}" in line for line in said)


def test_retry_these_does_those_of_one_reason_again(lab: World, visit: Visit) -> None:
    job = ended(lab, "boom", "bang")
    first = lab.first_image(job)
    JobTask.objects.filter(job=job, image_id=first).update(error_code="delivery_exhausted")
    answer: Any = visit("manager").post(
        f"/jobs/{job.pk}/retry-failed/", {"code": "delivery_exhausted"}, follow=True
    )
    assert "1 image will be done again." in answer.content.decode()
    assert lab.tally(job) == {"pending": 1, "failed": 1, "processed": 1}
    assert lab.row(job, first).status == 0
    job.refresh_from_db()
    assert job.run == 2


def test_what_cannot_be_done_is_said(lab: World, visit: Visit) -> None:
    job = lab.started_job(1)
    answer: Any = visit("manager").post(f"/jobs/{job.pk}/retry-failed/", follow=True)
    assert "The job has not ended" in answer.content.decode()
    Job.objects.filter(pk=job.pk).update(status="CREATED", source_image_collection=None)
    answer = visit("manager").post(f"/jobs/{job.pk}/run/", follow=True)
    assert "This job names no captures" in answer.content.decode()


def test_the_moving_part_is_sent_once_for_each_change(lab: World, visit: Visit) -> None:
    job = lab.started_job(2)
    client = visit("member")
    address = moving(client, f"/jobs/{job.pk}/")
    first = client.get(address)
    assert first.status_code == 200
    assert first.headers["Cache-Control"] == "no-store"
    assert "connect-src 'self'" in first.headers["Content-Security-Policy"]
    mark = first.headers["X-Mark"]
    look_again()
    again = client.get(f"{address}?seen={mark}")
    assert (again.status_code, again.content) == (204, b"")
    lab.work_off(job)
    look_again()
    changed = client.get(f"{address}?seen={mark}")
    assert changed.status_code == 200
    assert "data-ended" in changed.content.decode()


def test_many_pages_of_a_job_are_one_look_at_it(
    lab: World, visit: Visit, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    job = lab.started_job(2)
    client = visit("member")
    address = moving(client, f"/jobs/{job.pk}/")
    client.get(address)
    with django_assert_num_queries(0):
        assert client.get(address).status_code == 200


def test_an_open_page_shows_no_more_than_the_person_may_see(lab: World, visit: Visit, people: People) -> None:
    job = ended(lab, "cannot open /srv/secret/host7.jpg")
    address = moving(visit("member"), f"/jobs/{job.pk}/")
    assert "secret" in visit("anonymous").get(address).content.decode()  # whoever has the pass has the page
    ProjectMembership.objects.filter(project=lab.project, user=people.user("member")).delete()
    memory.forget()
    assert "secret" not in visit("member").get(address).content.decode()
    Project.objects.filter(pk=lab.project.pk).update(draft=True)
    memory.forget()
    assert visit("member").get(address).status_code == 410


def test_an_account_that_is_closed_sees_what_strangers_see(lab: World, visit: Visit, people: People) -> None:
    job = ended(lab, "cannot open /srv/secret/host7.jpg")
    address = moving(visit("member"), f"/jobs/{job.pk}/")
    User.objects.filter(pk=people.user("member").pk).update(is_active=False)
    memory.forget()
    assert "secret" not in visit("member").get(address).content.decode()


def test_passes_are_ours_and_end(lab: World, visit: Visit, time_machine: TimeMachineFixture) -> None:
    job = lab.started_job(1)
    time_machine.move_to(clock.now())
    address = moving(visit("member"), f"/jobs/{job.pk}/")
    forged = address.replace(":", "x:", 1)
    for wrong in (forged, "/live/", "/live/nonsense/", issue(Pass("no-such-kind", 0))):
        assert visit("member").get(wrong).status_code == 410, wrong
    assert visit("member").post(address).status_code == 405
    time_machine.shift(GOOD_FOR_SECONDS - 5)
    assert visit("member").get(address).status_code == 200
    time_machine.shift(10)
    assert visit("member").get(address).status_code == 410


def test_a_page_that_is_loaded_after_an_action_shows_what_the_action_did(lab: World, visit: Visit) -> None:
    job = lab.started_job(1)
    client = visit("manager")
    assert "Started" in read(client, f"/jobs/{job.pk}/").text
    client.post(f"/jobs/{job.pk}/cancel/")
    assert "Canceled" in read(client, f"/jobs/{job.pk}/").text


def test_a_job_that_is_gone_lets_its_pages_load_anew(lab: World, visit: Visit) -> None:
    job = lab.started_job(1)
    address = moving(visit("member"), f"/jobs/{job.pk}/")
    job.delete()
    look_again()
    assert visit("member").get(address).status_code == 410


def test_a_page_costs_the_same_however_much_happened(
    lab: World, visit: Visit, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    job = ended(lab, *(f"error {number}" for number in range(30)), good=5)
    client = visit("manager")
    # session, person, job, permissions; job with its parts, stages, course, workers, reasons, log
    with django_assert_max_num_queries(10):
        page = read(client, f"/jobs/{job.pk}/")
    assert "and 25 other sentences" in page.text


def test_a_hidden_job_does_not_exist(lab: World, visit: Visit) -> None:
    job = lab.started_job(1)
    Project.objects.filter(pk=lab.project.pk).update(draft=True)
    assert visit("outsider").get(f"/jobs/{job.pk}/").status_code == 404
    assert visit("member").get(f"/jobs/{job.pk}/").status_code == 200
    assert visit("outsider").post(f"/jobs/{job.pk}/cancel/").status_code == 404


def test_a_job_without_images_has_a_page_too(lab: World, visit: Visit) -> None:
    job = lab.job(1, pipeline=None, source_image_collection=None, job_type_key="regroup_events")
    page = read(visit("manager"), f"/jobs/{job.pk}/")
    assert (page.status, "Regroup sessions" in page.text) == (200, True)
