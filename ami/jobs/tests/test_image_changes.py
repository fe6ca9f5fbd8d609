"""The table of an image's states is what the database sees."""

from __future__ import annotations

import pytest

from ami.base.database import execute, rows
from ami.jobs.lifecycle.cancel import cancel_job
from ami.jobs.lifecycle.retry import retry_job
from ami.jobs.models import Job
from ami.jobs.states import TASK_ALLOWED, TaskState
from ami.jobs.tests.world import World

pytestmark = pytest.mark.integration

Change = tuple[TaskState, TaskState]


@pytest.fixture
def changes(light_world: World) -> None:
    """Postgres writes down every change of state of a ledger row, until the transaction is rolled back."""
    execute("CREATE TABLE seen_changes (before smallint, after smallint)")
    execute(
        """CREATE FUNCTION see_change() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN INSERT INTO seen_changes VALUES (OLD.status, NEW.status); RETURN NULL; END $$"""
    )
    execute(
        """CREATE TRIGGER see_change AFTER UPDATE ON jobs_jobtask FOR EACH ROW
        WHEN (OLD.status IS DISTINCT FROM NEW.status) EXECUTE FUNCTION see_change()"""
    )


def seen() -> set[Change]:
    """The changes so far."""
    return {(TaskState(a), TaskState(b)) for a, b in rows("SELECT DISTINCT before, after FROM seen_changes")}


@pytest.mark.usefixtures("changes")
def test_a_full_life_makes_the_changes_of_the_table_and_no_others(light_world: World) -> None:
    world = light_world
    world.flag(reprocess_all_images=True)
    job = world.started_job(4)
    done, broken, *_ = world.reserve(job, 2)
    world.post(job, [world.success(done), world.error(broken, retryable=False)])
    world.background.run()
    cancel_job(job.pk, by="somebody")
    assert retry_job(Job.objects.get(pk=job.pk))
    world.background.run()
    allowed = {(before, after) for before, targets in TASK_ALLOWED.items() for after in targets}
    assert seen() == allowed - {(TaskState.RECEIVED, TaskState.FAILED)}
