"""The list of jobs, and starting one from a form."""

from __future__ import annotations

from typing import Any

import pytest
from pytest_django import DjangoAssertNumQueries

from ami.dashboard import starting
from ami.dashboard.live.passes import Pass, issue
from ami.dashboard.tests.conftest import Visit
from ami.dashboard.tests.reading import moving, read
from ami.dashboard.views import jobs as views
from ami.jobs.models import Job
from ami.jobs.tests.world import World
from ami.main.models import Project
from ami.main.tests.factories import make_capture_set
from ami.main.tests.people import People
from ami.ml.tests.factories import make_service

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


def listed(visit: Visit, query: str = "", who: str = "member") -> list[str]:
    """The names on the page, in order."""
    page = read(visit(who), f"/jobs/{query}")
    assert page.status == 200
    return [seen.text for seen in page.all("h3")]


def test_jobs_are_listed_newest_first_and_filtered(lab: World, visit: Visit) -> None:
    lab.job(1, name="Created")
    lab.started_job(1, name="Running")
    done = lab.started_job(1, name="Done")
    lab.work_off(done)
    assert listed(visit) == ["Done", "Running", "Created"]
    assert listed(visit, "?show=open") == ["Running", "Created"]
    assert listed(visit, "?show=success") == ["Done"]
    assert listed(visit, "?q=run") == ["Running"]
    assert listed(visit, "?kind=data_export") == []
    assert listed(visit, f"?project={lab.project.pk}") == ["Done", "Running", "Created"]
    assert read(visit("member"), "/jobs/?show=everything").status == 400
    assert visit("member").get(moving(visit("member"), "/jobs/?q=run")).content.decode().count("<h3>") == 1
    assert visit("member").get(issue(Pass("jobs", 0, "show=everything"))).status_code == 410


def test_the_list_goes_on_where_a_page_ends(
    lab: World, visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views, "SHOWN", 2)
    for number in range(5):
        lab.job(1, name=f"Job {number}")
    seen, address = [], "/jobs/?q=job"
    while address:
        page = read(visit("member"), address)
        seen += [heading.text for heading in page.all("h3")]
        address = page.link("next") or ""
    assert seen == [f"Job {number}" for number in (4, 3, 2, 1, 0)]


def test_a_list_in_which_nothing_moves_says_so(lab: World, visit: Visit) -> None:
    job = lab.started_job(1)
    assert "data-quiet" not in read(visit("member"), "/jobs/").html
    lab.work_off(job)
    assert "data-quiet" in read(visit("member"), "/jobs/").html


def test_jobs_of_hidden_projects_are_not_listed(lab: World, visit: Visit) -> None:
    lab.job(1, name="Secret")
    Project.objects.filter(pk=lab.project.pk).update(draft=True)
    assert listed(visit, who="outsider") == []
    assert listed(visit, who="member") == ["Secret"]


def test_the_list_costs_the_same_however_long_it_is(
    lab: World, visit: Visit, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for _ in range(8):
        lab.job(1)
    client = visit("manager")
    # session, person, projects of the filter, jobs, stages, projects to start in, permissions
    with django_assert_max_num_queries(7):
        assert len(read(client, "/jobs/").all("h3")) == 8


# Starting a job


def chosen(lab: World, **more: Any) -> dict[str, Any]:
    """What is sent for a job over a new set of two captures."""
    capture_set = lab.capture_set(lab.captures(2))
    return {"capture_set": capture_set.pk, "pipeline": lab.pipeline.pk, "shuffle": "on", **more}


def test_a_job_is_started_from_the_form(lab: World, visit: Visit, people: People) -> None:
    address = f"/projects/{lab.project.pk}/start/"
    answer = visit("manager").post(address, chosen(lab, limit=5, priority=30))
    job = Job.objects.get()
    assert (answer.status_code, answer.headers["Location"]) == (302, f"/jobs/{job.pk}/")
    assert (job.status, job.limit, job.priority, job.shuffle) == ("PENDING", 5, 30, True)
    assert (job.name, job.created_by) == (f"{lab.pipeline.name}: Set", people.user("manager"))


def test_a_job_over_a_station_keeps_its_order(lab: World, visit: Visit) -> None:
    sent = {"station": lab.deployment.pk, "pipeline": lab.pipeline.pk, "name": "All of it"}
    visit("manager").post(f"/projects/{lab.project.pk}/start/", sent)
    job = Job.objects.get()
    assert (job.name, job.deployment, job.source_image_collection) == ("All of it", lab.deployment, None)
    assert job.shuffle is False


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ({"capture_set": ""}, "Choose a capture set or a station."),
        ({"pipeline": ""}, "This field is required."),
        ({"limit": "0"}, "greater than or equal to 1"),
        ({"priority": "101"}, "less than or equal to 100"),
        ({"capture_set": "999999"}, "not one of the available choices"),
    ],
)
def test_what_is_wrong_is_said_beside_the_field(
    sent: dict[str, str], said: str, lab: World, visit: Visit
) -> None:
    answer: Any = visit("manager").post(f"/projects/{lab.project.pk}/start/", chosen(lab) | sent)
    assert answer.status_code == 400
    assert said in answer.content.decode()
    assert not Job.objects.exists()


def test_captures_come_from_one_place(lab: World, visit: Visit) -> None:
    answer: Any = visit("manager").post(
        f"/projects/{lab.project.pk}/start/", chosen(lab, station=lab.deployment.pk)
    )
    assert "Choose either a capture set or a station." in answer.content.decode()


def test_what_belongs_to_another_project_cannot_be_chosen(lab: World, visit: Visit, people: People) -> None:
    foreign = make_capture_set(people.draft)
    answer = visit("manager").post(f"/projects/{lab.project.pk}/start/", chosen(lab, capture_set=foreign.pk))
    assert answer.status_code == 400


@pytest.mark.parametrize(
    ("who", "status"),
    [("anonymous", 403), ("outsider", 403), ("member", 403), ("data_manager", 200), ("superuser", 200)],
)
def test_the_form_is_for_those_who_may_start_jobs(who: str, status: int, lab: World, visit: Visit) -> None:
    address = f"/projects/{lab.project.pk}/start/"
    assert visit(who).get(address).status_code == status
    assert visit(who).get(f"{address}expected/").status_code == status
    page = read(visit(who), f"/projects/{lab.project.pk}/")
    assert (address in page.links("/projects/")) == (status == 200)
    assert (visit(who).post(address, chosen(lab)).status_code == 302) == (status == 200)


def test_what_is_known_is_chosen_already(lab: World, visit: Visit) -> None:
    capture_set = lab.capture_set(lab.captures(1))
    page = read(visit("manager"), f"/projects/{lab.project.pk}/start/?set={capture_set.pk}")
    assert [seen.text for seen in page.all("option", selected="")] == ["Set", "none", lab.pipeline.name]


def expected(lab: World, visit: Visit, **sent: Any) -> str:
    """What the page says of a job with these choices."""
    query = "&".join(f"{key}={value}" for key, value in sent.items())
    page = read(visit("manager"), f"/projects/{lab.project.pk}/start/expected/?{query}")
    return " ".join(" ".join(seen.text for seen in page.all("p")).split())


def test_the_page_says_what_would_be_left_out_and_who_would_work(lab: World, visit: Visit) -> None:
    job = lab.started_job(3)
    capture_set = job.source_image_collection
    assert capture_set is not None
    lab.work_off(job)
    capture_set.images.add(*lab.captures(1))
    sent = {"capture_set": capture_set.pk, "pipeline": lab.pipeline.pk}
    said = expected(lab, visit, **sent)
    assert "4 captures. 3 are left out: this pipeline has done them." in said
    assert "none has registered the pipeline" in said
    make_service(lab.project, lab.pipeline)
    assert "none online for pipeline" in expected(lab, visit, **sent)


def test_of_a_large_set_the_first_captures_are_looked_at(
    lab: World, visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = lab.started_job(3)
    lab.work_off(job)
    monkeypatch.setattr(starting, "LOOKED_AT", 2)
    said = expected(lab, visit, station=lab.deployment.pk, pipeline=lab.pipeline.pk, limit=2)
    assert "3 captures, at most 2 of them. Of the first 2 2 are left out" in said


def test_while_something_is_missing_nothing_is_foretold(lab: World, visit: Visit) -> None:
    assert expected(lab, visit, pipeline=lab.pipeline.pk) == ""
