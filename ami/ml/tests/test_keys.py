"""Worker keys: shown once, kept as a digest, over when they are revoked, rotated away or expired."""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine

from ami.base import clock
from ami.base.errors import InvalidInput
from ami.main.models import Project
from ami.main.tests.factories import make_project
from ami.ml import keys
from ami.ml.models import Pipeline, ProcessingService, WorkerKey

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


@pytest.fixture(autouse=True)
def _nothing_believed() -> None:
    keys.forget_all()


def make_service(*projects: Project, **fields: object) -> ProcessingService:
    """A pull service for these projects."""
    service = ProcessingService.objects.create(name="Lab GPUs", **fields)
    service.projects.set(projects)
    return service


def make_key(project: Project, **fields: object) -> keys.NewKey:
    """A key of a new service."""
    return keys.mint(service=make_service(project), projects=[project], **fields)  # type: ignore[arg-type]


def test_a_key_is_known_by_its_digest_and_nothing_else_of_it_is_kept() -> None:
    made = make_key(make_project())
    row = WorkerKey.objects.values().get()
    body = made.secret.rsplit("_", 1)[1]
    assert made.secret == f"amiw_{row['prefix']}_{body}"
    assert len(body) == 64
    assert not [value for value in row.values() if body[:16] in str(value)]


def test_a_machine_may_do_in_its_projects_what_workers_may_and_sees_no_others() -> None:
    mine, other = make_project(), make_project()
    machine = keys.recognise(make_key(mine).secret)
    assert machine is not None
    assert (machine.is_authenticated, machine.is_superuser, machine.pk) == (True, False, None)
    assert "tasks_ml_job" in machine.grants[mine.pk]
    assert "create_job" not in machine.grants[mine.pk]
    assert list(Project.objects.all().visible_to(machine)) == [mine]
    assert other.pk not in machine.grants


def test_a_key_for_some_pipelines_serves_no_others_also_when_they_are_deleted() -> None:
    moths, birds = (Pipeline.objects.create(name=name, slug=name) for name in ("moths", "birds"))
    made = make_key(make_project(), pipelines=[moths])
    machine = keys.recognise(made.secret)
    assert machine is not None
    assert (machine.may_serve(moths.pk), machine.may_serve(birds.pk), machine.may_serve(None)) == (
        True,
        False,
        False,
    )
    moths.delete()
    keys.forget_all()
    machine = keys.recognise(made.secret)
    assert machine is not None
    assert not machine.may_serve(birds.pk)


def test_without_pipelines_a_key_serves_all_of_them() -> None:
    machine = keys.recognise(make_key(make_project()).secret)
    assert machine is not None
    assert machine.may_serve(12345)


def test_a_project_that_the_service_left_is_none_of_its_keys_business() -> None:
    stays, leaves = make_project(), make_project()
    service = make_service(stays, leaves)
    made = keys.mint(service=service, projects=[stays, leaves])
    service.projects.remove(leaves)
    machine = keys.recognise(made.secret)
    assert machine is not None
    assert set(machine.grants) == {stays.pk}


@pytest.mark.parametrize("text", ["amiw_", "amiw_abcdefgh_" + "0" * 64, "amiw_\xff", "x" * 10_000])
def test_what_is_no_key_opens_nothing(text: str) -> None:
    make_key(make_project())
    assert keys.recognise(text) is None


def test_a_revoked_key_is_good_for_at_most_a_few_seconds_elsewhere_and_for_none_here() -> None:
    made = make_key(make_project())
    assert keys.recognise(made.secret) is not None
    WorkerKey.objects.update(revoked_at=clock.now())  # another process did it
    assert keys.KEY_CACHE_SECONDS < 5
    keys._remembered[made.key.digest] = (0.0, *keys._remembered[made.key.digest][1:])  # that time is over
    assert keys.recognise(made.secret) is None
    assert keys.revoke(made.key) is False
    fresh = make_key(make_project())
    assert keys.recognise(fresh.secret) is not None
    assert keys.revoke(fresh.key) is True
    assert keys.recognise(fresh.secret) is None


def test_an_expired_key_is_over_at_that_moment_though_it_was_believed() -> None:
    with time_machine.travel("2026-06-01T12:00:00Z", tick=False) as traveller:
        made = make_key(make_project(), expires_at=clock.now() + timedelta(seconds=2))
        assert keys.recognise(made.secret) is not None
        traveller.shift(3)
        assert keys.recognise(made.secret) is None


def test_a_rotated_key_goes_on_for_the_overlap_and_the_new_one_has_its_scope() -> None:
    project, pipeline = make_project(), Pipeline.objects.create(name="moths", slug="moths")
    old = make_key(project, pipelines=[pipeline], name="rack 1")
    fresh = keys.rotate(old.key, overlap=timedelta(hours=1))
    before, after = keys.recognise(old.secret), keys.recognise(fresh.secret)
    assert before is not None
    assert after is not None
    assert before.holder == after.holder
    assert (after.grants, after.pipeline_ids, fresh.key.name) == (
        before.grants,
        before.pipeline_ids,
        "rack 1",
    )
    old.key.refresh_from_db()
    assert old.key.expires_at is not None
    assert old.key.expires_at <= clock.now() + timedelta(hours=1)
    assert fresh.key.expires_at is None


def test_rotating_never_lengthens_the_old_key_and_keeps_the_span_of_the_new_one() -> None:
    old = make_key(make_project(), expires_at=clock.now() + timedelta(minutes=10))
    fresh = keys.rotate(old.key, overlap=timedelta(days=1))
    end = old.key.expires_at
    old.key.refresh_from_db()
    assert old.key.expires_at == end
    assert fresh.key.expires_at is not None
    assert timedelta(minutes=9) < fresh.key.expires_at - clock.now() <= timedelta(minutes=10)


def test_a_revoked_key_cannot_be_rotated() -> None:
    made = make_key(make_project())
    keys.revoke(made.key)
    with pytest.raises(InvalidInput, match="make a new one"):
        keys.rotate(made.key)


def test_a_key_that_makes_no_sense_is_refused_in_words() -> None:
    project, other = make_project(), make_project()
    service = make_service(project)
    with pytest.raises(InvalidInput, match="at least one project"):
        keys.mint(service=service, projects=[])
    with pytest.raises(InvalidInput, match=f"project {other.pk}"):
        keys.mint(service=service, projects=[project, other])
    with pytest.raises(InvalidInput, match="still to come"):
        keys.mint(service=service, projects=[project], expires_at=clock.now() - timedelta(seconds=1))
    with pytest.raises(InvalidInput, match="endpoint"):
        keys.mint(service=make_service(project, endpoint_url="http://svc:2000"), projects=[project])
    assert not WorkerKey.objects.exists()
