"""Jobs that are pushed to a service: who pushes dies, the service is unwell, servers are away."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from django.conf import settings

from ami.chaos.database import ask, value
from ami.chaos.door import Mood
from ami.chaos.failpoints import PUSHING
from ami.chaos.pipeline import POISON
from ami.chaos.scenario import scenario
from ami.chaos.scenarios.redis import restart_empty
from ami.chaos.services import pushing_night, serving, serving_behind_a_door
from ami.jobs.states import ErrorCode

if TYPE_CHECKING:
    from ami.chaos.door import Door
    from ami.chaos.oracle import ChaosJob
    from ami.chaos.run import Run

AWAY_SECONDS = 3.0
FROZEN_SECONDS = 6.0
"""Longer than one request may take, shorter than all attempts of an image."""
ENOUGH_FAILED = 3
STEPS = (*PUSHING, "receive.before_commit", "receive.after_commit", "receive.after_enqueue")
IN_A_REQUEST = "Celery in a request"
MOODS = {
    "service answers 500": (Mood.ERROR, "HTTP 500"),
    "service hangs up": (Mood.HANG_UP, "broke off before it had answered"),
}


@scenario(
    "F45",
    "A job that is pushed to a service, and everything that may happen to it",
    injects="kill -9 for who pushes, at each step and in the middle of a request; an image kills the service "
    "each time; the service dies and comes back, answers 500 or hangs up until images have failed, is not "
    "ready, stands still; one of two dies; NATS is away until the job has ended, Redis comes back empty, "
    "Postgres is stopped or killed",
    holds="The job ends exactly. What fails says why, and is done when it is tried again; a service that is "
    "away costs no image an attempt; another one takes over; NATS is not needed.",
    variants=(
        *STEPS,
        IN_A_REQUEST,
        "poison",
        "service killed",
        *MOODS,
        "service not ready",
        "service frozen",
        "one of two dies",
        "NATS away",
        "Redis restarted empty",
        "Postgres restarted",
        "Postgres killed",
    ),
)
def pushed(run: Run) -> None:
    """Heal: until the job's end; with images that failed until the end of the run before they are retried."""
    if run.variant in STEPS or run.variant == IN_A_REQUEST:
        _while_it_runs(run, _kill_celery)
    elif run.variant in MOODS:
        _behind_a_door(run, _fail_some)
    elif run.variant == "service not ready":
        _behind_a_door(run, _not_ready)
    elif run.variant == "one of two dies":
        _one_of_two(run)
    elif run.variant == "poison":
        _poison(run)
    else:
        _while_it_runs(
            run,
            {
                "service killed": _kill_service,
                "service frozen": _freeze_service,
                "NATS away": _without_nats,
                "Redis restarted empty": _empty_redis,
                "Postgres restarted": _without_postgres,
                "Postgres killed": _without_postgres,
            }[run.variant],
        )


def _while_it_runs(run: Run, fault: Callable[[Run, ChaosJob, str], None]) -> None:
    """`fault` happens in the middle of a job with one service, whose program it is told."""
    night = pushing_night(run)
    with serving(run, night) as (service,):
        job = run.start_job(night)
        run.somewhere(job)
        fault(run, job, service.name)
        run.finish(job)
    _was_pushed(run, job)


def _behind_a_door(run: Run, fault: Callable[[Run, ChaosJob, Door], None]) -> None:
    night = pushing_night(run)
    with serving_behind_a_door(run, night) as door:
        job = run.start_job(night)
        run.somewhere(job)
        fault(run, job, door)
        run.finish(job)
    _was_pushed(run, job)


def _kill_celery(run: Run, job: ChaosJob, _: str) -> None:
    points = run.platform.failpoints
    if run.variant == IN_A_REQUEST:
        _wait_for_a_request(run, job)
        run.platform.programs.kill_children("celery")
    else:
        points.arm(run.variant)
        run.until(lambda: points.fired(run.variant), f"somebody comes to {run.variant}")
    run.fault_over()


def _kill_service(run: Run, job: ChaosJob, service: str) -> None:
    _wait_for_a_request(run, job)
    with run.platform.programs.away(service):
        time.sleep(AWAY_SECONDS)
    run.fault_over()


def _freeze_service(run: Run, _: ChaosJob, service: str) -> None:
    with run.platform.programs.frozen(service):
        time.sleep(FROZEN_SECONDS)
    run.fault_over()


def _fail_some(run: Run, job: ChaosJob, door: Door) -> None:
    """Images fail while the service is unwell, and only those; each says why, and can be done again."""
    door.mood, words = MOODS[run.variant]
    run.until(lambda: len(_failures(job)) >= ENOUGH_FAILED, "images fail")
    door.mood = Mood.OPEN
    run.fault_over()
    run.finish(job)
    failures = _failures(job)
    run.notes["images failed"] = len(failures)
    for image, (code, text, attempts) in failures.items():
        why = f"image {image} failed as {code} with {text!r} after {attempts} attempts"
        run.must(code == ErrorCode.SERVICE_ERROR and words in text, f"I2 {why}: it does not say why")
        refused = door.refused[image]
        run.must(attempts == settings.NATS_MAX_DELIVER <= refused, f"I2 {why}, refused {refused} times")
    run.operator.insist("POST", f"/jobs/{job.id}/retry-failed/", json={})


def _poison(run: Run) -> None:
    """An image kills the service each time; requests with innocent images are under way beside it."""
    night = pushing_night(run)
    victim = run.chance.choice(night.image_ids)
    run.world.configure(night, {POISON: [victim]})
    with serving(run, night):
        job = run.start_job(night)
        job.failed = frozenset([victim])
        run.finish(job)
    code, text, attempts = _failures(job)[victim]
    used_up = attempts == settings.NATS_MAX_DELIVER
    run.must(code == ErrorCode.SERVICE_ERROR and used_up, f"I2 it failed as {code} with {text!r}")
    _was_pushed(run, job)


def _not_ready(run: Run, job: ChaosJob, door: Door) -> None:
    """Overloaded, or gone behind what stands before it: no image pays for it."""
    door.mood = Mood.NOT_READY
    time.sleep(AWAY_SECONDS)
    door.mood = Mood.OPEN
    run.fault_over()
    run.finish(job)
    paid = value("SELECT count(*) FROM jobs_jobtask WHERE job_id = %s AND attempt - released > 1", [job.id])
    run.must(paid == 0, f"I2 {paid} images lost an attempt to a service that was away")


def _one_of_two(run: Run) -> None:
    """Dies for good the one that has the work."""
    night = pushing_night(run)
    with serving(run, night, 2) as services:
        job = run.start_job(night)
        run.somewhere(job)
        holder = _wait_for_a_request(run, job)
        dead = next(service for service in services if service.name == holder)
        run.platform.programs.remove(dead.name)
        run.fault_over()
        run.finish(job)
        live = value("SELECT last_seen_live FROM ml_processingservice WHERE id = %s", [dead.id])
        run.must(live is False, "I12 the dead service is shown as online")
    workers = {row[0] for row in ask("SELECT DISTINCT worker FROM jobs_jobtask WHERE job_id = %s", [job.id])}
    run.must(workers == {service.name for service in services}, f"I7 the work was done by {sorted(workers)}")
    _was_pushed(run, job)


def _without_nats(run: Run, job: ChaosJob, _: str) -> None:
    """Until the job has ended; so there is nothing to heal."""
    nats = run.platform.stack.nats
    nats.kill()
    run.finish(job)
    nats.start()


def _empty_redis(run: Run, job: ChaosJob, _: str) -> None:
    before = _answered(job)
    restart_empty(run)
    run.must(_answered(job) > before, "I7 no image was answered for while Redis was away")
    run.fault_over()


def _without_postgres(run: Run, job: ChaosJob, _: str) -> None:
    postgres = run.platform.stack.postgres
    _wait_for_a_request(run, job)
    (postgres.kill if run.variant == "Postgres killed" else postgres.stop)()
    time.sleep(AWAY_SECONDS)
    postgres.start()
    run.fault_over()


def _wait_for_a_request(run: Run, job: ChaosJob) -> str:
    """Wait until a service has images in hand and works on another one; returns its name."""
    begun = run.work.length()
    run.until(lambda: bool(_holders(job)) and run.work.length() > begun, "a service is at work")
    return _holders(job)[0]


def _holders(job: ChaosJob) -> list[str]:
    found = ask(
        "SELECT worker FROM jobs_jobtask WHERE job_id = %s AND leased_until > clock_timestamp() LIMIT 1",
        [job.id],
    )
    return [row[0] for row in found]


def _answered(job: ChaosJob) -> int:
    return int(value("SELECT count(*) FROM jobs_jobtask WHERE job_id = %s AND status > 0", [job.id]))


def _failures(job: ChaosJob) -> dict[int, tuple[str, str, int]]:
    """Code, text and number of noted attempts of each failed image."""
    found = ask(
        """SELECT image_id, error_code, error_text, (SELECT count(*) FROM jobs_attempt a
            WHERE a.job_id = t.job_id AND a.image_id = t.image_id AND a.run = t.run)
        FROM jobs_jobtask t WHERE job_id = %s AND status = 3""",
        [job.id],
    )
    return {row[0]: (row[1], row[2], row[3]) for row in found}


def _was_pushed(run: Run, job: ChaosJob) -> None:
    """It went the way that is tested here, and built no queue."""
    mode, epoch = ask("SELECT dispatch_mode, queue_epoch FROM jobs_job WHERE id = %s", [job.id])[0]
    run.must(mode == "sync_api", f"I9 the job is {mode}, not pushed")
    run.must(epoch == 0, f"I9 a pushed job built a queue {epoch} times")
