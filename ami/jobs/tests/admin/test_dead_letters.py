"""Dead letters in the admin: what is shown, how it is found, and what the actions do and say."""

from __future__ import annotations

import html
import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from ami.base.database import execute
from ami.jobs.admin import dead_letters
from ami.jobs.lifecycle.requeue import requeue
from ami.jobs.models import DeadLetter, Job, JobLog
from ami.jobs.tests.world import BOB, World
from ami.main.models import SourceImage
from ami.main.tests.factories import make_project
from ami.users.models import User
from ami.users.tests.factories import make_user

pytestmark = pytest.mark.integration

LIST = "/admin/jobs/deadletter/"


@pytest.fixture
def operator(light_world: World, client: Client) -> Client:
    """A superuser, logged in."""
    client.force_login(make_user(name="Operator", is_superuser=True, is_staff=True))
    return client


@pytest.fixture
def job(light_world: World) -> Job:
    """An ended job: two images failed for good, one is processed."""
    return ended_job(light_world)


def ended_job(world: World, failed: int = 2, **fields: Any) -> Job:
    """An ended job with `failed` dead letters beside a processed image."""
    job = world.started_job(failed + 1, **fields)
    good, *bad = world.reserve(job)
    errors = [
        world.error(task, f"broken {n}\nwith details", code="unreadable_image", retryable=False)
        for n, task in enumerate(bad)
    ]
    world.post(job, [world.success(good), *errors])
    world.background.run()
    job.refresh_from_db()
    assert job.is_final
    return job


def letters(job: Job) -> list[DeadLetter]:
    """The dead letters of a job, in the order of their images."""
    return list(DeadLetter.objects.filter(job=job).order_by("image_id"))


def address(letter: DeadLetter) -> str:
    """The page of a letter."""
    return reverse("admin:jobs_deadletter_change", args=[letter.pk])


def found(operator: Client, **query: object) -> list[int]:
    """The images on the list with these parameters, in order."""
    shown = operator.get(LIST, {name: str(value) for name, value in query.items()})
    assert shown.status_code == 200
    return [letter.image_id for letter in shown.context["cl"].result_list]


def ask(operator: Client, action: str, *chosen: DeadLetter, **more: str) -> list[str]:
    """Choose an action for letters; what the operator is told."""
    data = {"action": action, "_selected_action": [letter.pk for letter in chosen]} | more
    answer = operator.post(LIST, data, follow=True)
    assert answer.status_code == 200
    return [str(message) for message in answer.context["messages"]]


def text_of(page: Any) -> str:
    """What a page says, without its markup."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page.content.decode())).split())


def test_the_list_shows_failed_images_newest_first(operator: Client, light_world: World, job: Job) -> None:
    later = ended_job(light_world, failed=1, name="Later night")
    shown = operator.get(LIST)
    assert [letter.job_id for letter in shown.context["cl"].result_list] == [later.pk, job.pk, job.pk]
    text, page = text_of(shown), shown.content.decode()
    for said in (f"#{later.pk} Later night", "The image could not be read", "broken 0", "alice's gpu"):
        assert said in text
    assert "with details" not in text, "a list has room for the first line"
    assert reverse("admin:jobs_job_change", args=[job.pk]) in page
    assert reverse("admin:main_sourceimage_change", args=[letters(job)[0].image_id]) in page


def test_the_list_costs_the_same_however_many_letters_it_shows(
    operator: Client, light_world: World, job: Job
) -> None:
    def cost() -> int:
        with CaptureQueriesContext(connection) as captured:
            operator.get(LIST)
        return len(captured)

    cost()
    few = cost()
    for _ in range(3):
        ended_job(light_world, failed=4)
    assert cost() == few <= 8


def test_letters_are_found_by_job_and_capture_and_nothing_else(
    operator: Client, light_world: World, job: Job
) -> None:
    ended_job(light_world)
    first, second = letters(job)
    execute("UPDATE jobs_jobtask SET image_id = image_id + 1000000")
    assert found(operator, q=first.image_id + 1_000_000) == [first.image_id + 1_000_000]
    assert sorted(found(operator, q=job.pk)) == [first.image_id + 1_000_000, second.image_id + 1_000_000]
    for nonsense in ("broken", "alice", "-1", "1.5", "0"):
        assert found(operator, q=nonsense) == [], nonsense


def test_filters_narrow_the_list(operator: Client, light_world: World, job: Job) -> None:
    mine = sorted(letter.image_id for letter in letters(job))
    other = ended_job(light_world, failed=1)
    execute(
        "UPDATE jobs_jobtask SET error_code = 'save_error', worker = %s, "
        "finished_at = finished_at - interval '2 days' WHERE job_id = %s",
        [BOB.name, other.pk],
    )
    theirs = [letter.image_id for letter in letters(other)]
    assert sorted(found(operator, job__id__exact=job.pk)) == mine
    assert found(operator, job__id__exact="moth") == []
    assert found(operator, error_code__exact="save_error") == theirs
    assert found(operator, worker__exact=BOB.name) == theirs
    assert found(operator, worker__exact="bob") == []
    assert sorted(found(operator, failed_within="24")) == mine
    assert len(found(operator, failed_within="168")) == len(found(operator, failed_within="x")) == 3
    assert len(found(operator, job__project__id__exact=light_world.project.pk)) == 3
    assert found(operator, job__project__id__exact=make_project().pk) == []


def test_a_typed_filter_keeps_what_else_was_chosen(operator: Client, job: Job) -> None:
    page = operator.get(LIST, {"error_code__exact": "unreadable_image", "q": str(job.pk)}).content.decode()
    typed = re.compile(r'<input type="text" name="(job__id|worker)__exact"')
    forms = [form for form in page.split("<form ") if typed.search(form)]
    assert len(forms) == 2
    for form in forms:
        assert '<input type="hidden" name="error_code__exact" value="unreadable_image">' in form
        assert f'<input type="hidden" name="q" value="{job.pk}">' in form
    chosen = operator.get(LIST, {"job__id__exact": str(job.pk)}).content.decode()
    assert f'name="job__id__exact" value="{job.pk}"' in chosen


def test_the_list_is_not_counted_to_the_end(operator: Client, job: Job) -> None:
    for query in ({}, {"_facets": "True"}):
        with CaptureQueriesContext(connection) as captured:
            operator.get(LIST, query)
        counts = [query["sql"] for query in captured.captured_queries if "COUNT(" in query["sql"]]
        assert counts
        assert all("LIMIT 10000" in sql for sql in counts)


def test_the_page_of_a_letter_tells_all_attempts_of_all_runs(
    operator: Client, light_world: World, job: Job
) -> None:
    requeue(job.pk)
    light_world.dispatch(job)
    tasks = light_world.reserve(job, worker=BOB)
    light_world.post(job, [light_world.error(task, "<b>again</b>") for task in tasks], BOB)
    light_world.let_leases_run_out(job)
    tasks = light_world.obtain(job, 2)
    light_world.post(job, [light_world.error(task, "for good", retryable=False) for task in tasks])
    light_world.background.run()
    letter = letters(job)[0]
    shown = operator.get(address(letter))
    attempts = [(one.run, one.attempt, one.worker) for one in shown.context["attempts"]]
    assert attempts == [(1, 1, "alice's gpu"), (2, 1, "bob's gpu"), (2, 2, "alice's gpu")]
    text = text_of(shown)
    for said in ("broken 0 with details", "for good", "error (worker_error)", "bob's gpu"):
        assert said in text
    assert "<b>again</b>" not in shown.content.decode()
    assert "https://images.example/" in shown.content.decode()


def test_the_page_of_a_letter_without_capture_or_attempt_says_so(
    operator: Client, light_world: World
) -> None:
    job = light_world.started_job(1)
    SourceImage.objects.filter(job_tasks__job=job).delete()
    text = text_of(operator.get(address(letters(job)[0])))
    for said in ("(it was deleted)", "There is no file.", "No worker ever tried it.", "has not ended (it is"):
        assert said in text


def test_requeue_selected_takes_the_chosen_ones_of_each_job(
    operator: Client, light_world: World, job: Job
) -> None:
    other = ended_job(light_world)
    told = ask(operator, "requeue_selected", letters(job)[0], *letters(other))
    assert told == ["Requeued 3 images in 2 jobs."]
    assert light_world.tally(job) == {"pending": 1, "failed": 1, "processed": 1}
    assert light_world.tally(other) == {"pending": 2, "processed": 1}
    log = JobLog.objects.filter(job=job).values_list("message", flat=True)
    user = operator.session["_auth_user_id"]
    assert f"Job started again by user {user} (run 2) for 1 images." in log


def test_requeue_all_takes_every_letter_of_the_chosen_ones_jobs(
    operator: Client, light_world: World, job: Job
) -> None:
    other = ended_job(light_world)
    assert ask(operator, "requeue_jobs", letters(job)[0]) == ["Requeued 2 images in 1 job."]
    assert light_world.tally(job) == {"pending": 2, "processed": 1}
    assert light_world.tally(other) == {"failed": 2, "processed": 1}


def test_what_cannot_be_requeued_is_told_with_its_number_and_reason(
    operator: Client, light_world: World, job: Job
) -> None:
    running, lost = ended_job(light_world), ended_job(light_world)
    Job.objects.filter(pk=running.pk).update(status="STARTED")
    Job.objects.filter(pk=lost.pk).update(pipeline=None)
    chosen = [*letters(job), *letters(running), letters(lost)[0]]
    told = ask(operator, "requeue_selected", *chosen)
    assert told[0] == "Requeued 2 images in 1 job."
    assert told[1].startswith(f"Job #{running.pk}: 2 images not requeued. The job has not ended")
    assert told[2].startswith(f"Job #{lost.pk}: 1 image not requeued. This job has no pipeline any more")
    assert len(told) == 3


def test_many_refusals_are_summed_up(
    operator: Client, light_world: World, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dead_letters, "MOST_TOLD", 1)
    others = [ended_job(light_world) for _ in range(2)]
    Job.objects.update(status="STARTED")
    told = ask(operator, "requeue_jobs", letters(job)[0], *[letters(other)[0] for other in others])
    assert len(told) == 2
    assert told[1] == "2 more jobs with 4 images not requeued."


def test_a_second_click_requeues_nothing_and_says_so(operator: Client, light_world: World, job: Job) -> None:
    chosen = letters(job)
    ask(operator, "requeue_selected", *chosen)
    for action in ("requeue_selected", "requeue_jobs"):
        told = ask(operator, action, *chosen)
        assert told == [
            "2 selected images are no dead letter any more: requeued already, or deleted with the job."
        ]
    job.refresh_from_db()
    assert (job.run, light_world.tally(job)) == (2, {"pending": 2, "processed": 1})


def test_everything_that_a_filter_finds_can_be_requeued_up_to_a_bound(
    operator: Client, light_world: World, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended_job(light_world)
    monkeypatch.setattr(dead_letters, "MOST_COUNTED", 3)
    monkeypatch.setattr(dead_letters, "MOST_JOBS", 1)
    for action, what in (("requeue_selected", "3 images"), ("requeue_jobs", "1 jobs")):
        (told,) = ask(operator, action, letters(job)[0], select_across="1")
        assert told.startswith(f"More than {what}")
    assert set(Job.objects.values_list("run", flat=True)) == {1}
    monkeypatch.undo()
    assert ask(operator, "requeue_selected", letters(job)[0], select_across="1") == [
        "Requeued 4 images in 2 jobs."
    ]


def staff(*permissions: str) -> User:
    """An account of the staff with these permissions and no others."""
    user = make_user(is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    return user


def test_who_may_only_look_requeues_nothing(light_world: World, client: Client, job: Job) -> None:
    client.force_login(staff("view_deadletter"))
    shown = client.get(LIST)
    assert shown.status_code == 200
    assert "requeue" not in shown.content.decode().lower()
    assert "Requeue" not in client.get(address(letters(job)[0])).content.decode()
    ask(client, "requeue_selected", *letters(job))
    assert light_world.tally(job) == {"failed": 2, "processed": 1}


def test_who_may_change_jobs_requeues(light_world: World, client: Client, job: Job) -> None:
    client.force_login(staff("view_deadletter", "change_job"))
    assert "Requeue this image" in client.get(address(letters(job)[0])).content.decode()
    assert ask(client, "requeue_selected", *letters(job)) == ["Requeued 2 images in 1 job."]


def test_staff_without_permissions_see_no_letters(light_world: World, client: Client, job: Job) -> None:
    client.force_login(staff())
    for page in (LIST, address(letters(job)[0])):
        assert client.get(page).status_code == 403


def test_nothing_is_changed_or_deleted_by_hand(operator: Client, job: Job) -> None:
    letter = letters(job)[0]
    assert operator.get(reverse("admin:jobs_deadletter_add")).status_code == 403
    assert operator.post(address(letter), {"run": 9}).status_code == 403
    delete = reverse("admin:jobs_deadletter_delete", args=[letter.pk])
    assert operator.post(delete, {"post": "yes"}).status_code == 403
    assert "delete_selected" not in operator.get(LIST).content.decode()


def test_a_job_shows_the_way_to_its_letters(operator: Client, light_world: World, job: Job) -> None:
    ended_job(light_world)
    page = operator.get(reverse("admin:jobs_job_change", args=[job.pk])).content.decode()
    assert f'href="{LIST}?job__id__exact={job.pk}"' in page
    assert len(found(operator, job__id__exact=job.pk)) == 2


def test_the_time_filter_tells_its_spans(operator: Client, job: Job) -> None:
    hours = timedelta(hours=2).total_seconds()
    execute("UPDATE jobs_jobtask SET finished_at = finished_at - make_interval(secs => %s)", [hours])
    assert found(operator, failed_within="1") == []
    assert len(found(operator, failed_within="24")) == 2
