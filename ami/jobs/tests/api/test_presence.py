"""Who looks alive after a worker's call (contract 3.9): its caller, and never somebody else."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import OperationalError

from ami.base import clock
from ami.jobs.api import presence
from ami.jobs.tests.api.lab import Lab, at, other_project
from ami.main.models import Project
from ami.ml.models import ProcessingService, WorkerInstance
from ami.ml.workers import mark_silent_offline

pytestmark = pytest.mark.integration


def service(lab: Lab, name: str, project: Project | None = None, **fields: object) -> ProcessingService:
    """A service for the lab's pipeline, registered by the worker's account unless said otherwise."""
    made = ProcessingService.objects.create(name=name, **({"registered_by": lab.user("worker")} | fields))
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
    "reserve": lambda lab: lab.post("/api/v2/tasks/reserve/", {"batch_size": 1}, "worker"),
    "next": lambda lab: lab.post("/api/v2/jobs/next/", {}, "worker"),
    "extend": lambda lab: lab.post("/api/v2/tasks/extend/", {"leases": []}, "worker"),
}


@pytest.mark.parametrize("call", CALLS)
def test_a_call_of_a_worker_without_a_name_marks_the_pull_services_that_its_account_registered(
    lab: Lab, call: str
) -> None:
    project, _ = other_project()
    ours, pushed = service(lab, "ours"), service(lab, "pushed", endpoint_url="http://svc:2000")
    theirs, of_a_peer = (
        service(lab, "theirs", project),
        service(lab, "peer", registered_by=lab.user("manager")),
    )
    CALLS[call](lab)
    assert online(ours, pushed, theirs, of_a_peer) == [True, False, False, False]


def test_a_poll_marks_services_of_the_pipelines_that_it_asks_for(lab: Lab) -> None:
    ours, birds = service(lab, "ours"), service(lab, "birds")
    birds.pipelines.clear()
    poll(lab, "worker")
    assert online(ours, birds) == [True, False]


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


def test_nobody_marks_a_service_that_another_account_registered_by_using_its_name(lab: Lab) -> None:
    peer = service(lab, "Peer", registered_by=lab.user("manager"))
    poll(lab, "worker", "Peer")
    assert online(peer) == [False]


def test_a_service_that_nobody_registered_is_marked_when_only_it_can_be_meant(lab: Lab) -> None:
    one = service(lab, "made in the admin", registered_by=None)
    poll(lab, "worker")
    assert online(one) == [True]
    ProcessingService.objects.update(last_seen_live=False)
    presence.forget_notes()
    service(lab, "another", registered_by=None)
    poll(lab, "worker")
    assert online(one) == [False], "it may be the other one"


def test_a_name_that_nobody_registered_marks_no_service(lab: Lab) -> None:
    peer = service(lab, "Peer")
    poll(lab, "worker", "Stranger")
    assert online(peer) == [False]


def test_who_is_no_worker_marks_nothing(lab: Lab) -> None:
    ours = service(lab, "ours")
    for who in ("anonymous", "outsider", "member", "manager"):
        poll(lab, who)
        poll(lab, who, "ours")
    assert online(ours) == [False]
    assert not WorkerInstance.objects.exists()


def test_an_ordinary_list_is_no_sign_of_life(lab: Lab) -> None:
    ours = service(lab, "ours")
    lab.get(who="worker", pipeline__slug__in=lab.world.pipeline.slug)
    assert online(ours) == [False]


def test_the_second_call_within_half_a_minute_writes_nothing(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    service(lab, "ours")
    poll(lab, "worker", "ours")
    written: list[object] = []

    def note(_: object, sign: object) -> bool:
        written.append(sign)
        return True

    monkeypatch.setattr(type(lab.world.background), "seen", note)
    poll(lab, "worker", "ours")
    assert written == []
    presence.forget_notes()
    poll(lab, "worker", "ours")
    assert len(written) == 1


def test_names_of_strangers_do_not_fill_the_memory(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presence, "_MOST_REMEMBERED", 3)
    for number in range(10):
        poll(lab, "worker", f"stranger {number}")
    assert len(presence._noted) <= 3


def test_a_heartbeat_that_fails_does_not_fail_the_call(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    def lose(*_: object) -> bool:
        raise OperationalError("canceling statement due to lock timeout")

    monkeypatch.setattr(type(lab.world.background), "seen", lose)
    poll(lab, "worker", "ours")
    assert len(lab.tasks(lab.world.started_job(), 1, "worker")) == 1


def test_a_heartbeat_is_written_at_once_when_the_broker_does_not_take_it(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = service(lab, "ours")
    monkeypatch.setattr(type(lab.world.background), "seen", lambda *_: False)
    poll(lab, "worker", "ours")
    assert online(ours) == [True]


def test_who_is_silent_for_a_minute_is_offline(lab: Lab) -> None:
    ours, pushed = service(lab, "ours"), service(lab, "pushed", endpoint_url="http://svc:2000")
    poll(lab, "worker", "ours")
    long_ago = clock.now() - timedelta(seconds=61)
    ProcessingService.objects.update(last_seen=long_ago, last_seen_live=True)
    assert mark_silent_offline() == 1, "the worker called just now, the pushed service is asked by others"
    WorkerInstance.objects.update(last_seen=long_ago)
    assert mark_silent_offline() == 1
    assert mark_silent_offline() == 0
    assert not WorkerInstance.objects.get().online
    assert ProcessingService.objects.get(pk=ours.pk).last_seen_live is False
    assert ProcessingService.objects.get(pk=pushed.pk).last_seen_live is True


def test_refused_items_are_counted_with_the_next_sign_of_life(lab: Lab) -> None:
    job = lab.world.started_job()
    bad = {"reply_subject": "forged", "result": {"error": "x"}}
    lab.post(at(job, "result"), {"results": [bad, bad]}, "worker")
    presence._noted.clear()
    lab.post(at(job, "result"), {"results": []}, "worker")
    assert WorkerInstance.objects.get().rejected == 2
