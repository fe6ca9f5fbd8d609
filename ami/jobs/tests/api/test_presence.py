"""Whose service looks alive after a worker's call (contract 3.9; never somebody else's)."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.db import OperationalError

from ami.jobs.api import presence
from ami.jobs.tests.api.lab import Lab, at, other_project
from ami.main.models import Project
from ami.ml.models import ProcessingService

pytestmark = pytest.mark.integration


def service(lab: Lab, name: str, project: Project | None = None, **fields: object) -> ProcessingService:
    """A service for the lab's pipeline."""
    made = ProcessingService.objects.create(name=name, **fields)
    made.projects.add(project or lab.world.project)
    made.pipelines.add(lab.world.pipeline)
    return made


def online(*services: ProcessingService) -> list[bool]:
    """Which of them are online now."""
    return [ProcessingService.objects.get(pk=one.pk).is_online for one in services]


def poll(lab: Lab, who: str, name: str = "", **query: object) -> None:
    """Poll for jobs of the lab's pipeline."""
    headers = {"X-Processing-Service-Name": name} if name else {}
    asked = {"ids_only": 1, "pipeline__slug__in": lab.world.pipeline.slug, **query}
    assert lab.client(who).get("/api/v2/jobs/", asked, headers=headers).status_code == 200


CALLS: dict[str, Callable[[Lab], object]] = {
    "poll": lambda lab: poll(lab, "worker"),
    "tasks": lambda lab: lab.tasks(lab.world.started_job(), 1, "worker"),
    "result": lambda lab: lab.post(at(lab.world.started_job(), "result"), {"results": []}, "worker"),
    "bad result": lambda lab: lab.post(at(lab.world.started_job(), "result"), {}, "worker"),
}


@pytest.mark.parametrize("call", CALLS)
def test_a_call_of_a_worker_without_a_name_marks_the_pull_services_of_the_pipeline(
    lab: Lab, call: str
) -> None:
    project, _ = other_project()
    ours, pushed = service(lab, "ours"), service(lab, "pushed", endpoint_url="http://svc:2000")
    theirs, other_pipeline = service(lab, "theirs", project), service(lab, "birds")
    other_pipeline.pipelines.clear()
    CALLS[call](lab)
    assert online(ours, pushed, theirs, other_pipeline) == [True, False, False, False]


def test_a_poll_of_a_worker_with_a_name_marks_its_service_and_not_its_peer(lab: Lab) -> None:
    mine, peer = service(lab, "AMI (gpu-01)"), service(lab, "AMI (gpu-02)")
    poll(lab, "worker", "AMI (gpu-01)")
    assert online(mine, peer) == [True, False]


@pytest.mark.parametrize("action", ["tasks", "result"])
def test_a_call_of_a_worker_with_a_name_marks_its_service_and_not_its_peer(lab: Lab, action: str) -> None:
    mine, peer = service(lab, "Käfer"), service(lab, "Peer")
    namesake = service(lab, "Käfer", other_project()[0])
    body = {"batch_size": 1, "results": [], "client_info": {"name": "Käfer"}}
    assert lab.post(at(lab.world.started_job(), action), body, "worker").status_code == 200
    assert online(mine, peer, namesake) == [True, False, False]


def test_a_name_that_nobody_registered_marks_nothing(lab: Lab) -> None:
    peer = service(lab, "Peer")
    poll(lab, "worker", "Stranger")
    assert online(peer) == [False]


def test_who_is_no_worker_marks_nothing(lab: Lab) -> None:
    ours = service(lab, "ours")
    for who in ("anonymous", "outsider", "member", "manager"):
        poll(lab, who)
        poll(lab, who, "ours")
    assert online(ours) == [False]
    assert presence._looked_up == {}


def test_a_superuser_works_everywhere(lab: Lab) -> None:
    project, _ = other_project()
    ours, theirs = service(lab, "ours"), service(lab, "theirs", project)
    poll(lab, "superuser")
    assert online(ours, theirs) == [True, True]


def test_without_slugs_a_poll_marks_the_services_of_the_project_that_it_names(lab: Lab) -> None:
    ours = service(lab, "ours")
    poll(lab, "worker", pipeline__slug__in="")
    assert online(ours) == [False]
    poll(lab, "worker", pipeline__slug__in="", project_id=lab.world.project.pk)
    assert online(ours) == [True]


def test_an_ordinary_list_is_no_sign_of_life(lab: Lab) -> None:
    ours = service(lab, "ours")
    lab.get(who="worker", pipeline__slug__in=lab.world.pipeline.slug)
    assert online(ours) == [False]


def test_the_second_call_within_half_a_minute_asks_the_database_nothing(
    lab: Lab, django_assert_num_queries: Callable[[int], object]
) -> None:
    service(lab, "ours")
    job = lab.world.started_job()
    for name in ("", "ours", "nobody"):
        presence.note_call(name, job)
        with django_assert_num_queries(0):  # type: ignore[attr-defined]
            presence.note_call(name, job)


def test_names_of_strangers_do_not_fill_the_memory(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presence, "_MOST_REMEMBERED", 3)
    job = lab.world.job()
    for number in range(10):
        presence.note_call(f"stranger {number}", job)
    assert len(presence._looked_up) <= 3


def test_a_heartbeat_that_fails_does_not_fail_the_call(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    def lose(*_: object) -> None:
        raise OperationalError("canceling statement due to lock timeout")

    monkeypatch.setattr(presence, "note_pipeline_seen", lose)
    monkeypatch.setattr(presence, "note_slugs_seen", lose)
    assert len(lab.tasks(lab.world.started_job(), 1, "worker")) == 1
    poll(lab, "worker")
