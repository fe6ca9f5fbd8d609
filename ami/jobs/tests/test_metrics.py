"""The state of the system in figures: right, shared, bounded, and never a reason to wait."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.cache import cache
from django.db import transaction
from django.test import Client
from prometheus_client.parser import text_string_to_metric_families
from pytest_django.fixtures import Settings

from ami.base.database import execute, rows
from ami.base.metrics.declare import TABLE
from ami.jobs.health.runner import run_check
from ami.jobs.metrics import database, others, snapshot, table
from ami.jobs.models import Job
from ami.jobs.tests.world import World
from config.metrics import reference

pytestmark = [pytest.mark.integration]

TOKEN = "a-token-for-prometheus"
Figures = dict[tuple[str, tuple[str, ...]], float]


@pytest.fixture(autouse=True)
def nothing_known_yet(settings: Settings) -> Iterator[None]:
    """Each test takes snapshots of its own."""
    settings.METRICS_TOKEN = TOKEN
    snapshot.forget()
    yield
    snapshot.forget()


@pytest.fixture
def silent_server() -> Iterator[str]:
    """A server that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


def figures() -> Figures:
    """A new snapshot, by name and labels."""
    return {(name, tuple(labels)): value for name, labels, value in snapshot.take().samples}


def scrape(client: Client) -> dict[tuple[str, frozenset[str]], float]:
    """What the page says, by name of the sample and values of its labels."""
    answer = client.get("/metrics", headers={"authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == 200
    return {
        (sample.name, frozenset(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(answer.content.decode())
        for sample in family.samples
    }


def test_figures_are_what_the_database_says(world: World) -> None:
    job = world.started_job(6)
    slug = world.pipeline.slug
    tasks = world.reserve(job, 4)
    world.post(job, [world.success(tasks[0]), world.error(tasks[1], retryable=False)])
    world.background.run("refresh")
    found = figures()
    assert found["ami_jobs", ("STARTED", "async_api")] == 1
    states = {state: found["ami_tasks", (slug, state)] for state in ("pending", "received", "failed")}
    assert states == {"pending": 4, "received": 1, "failed": 1}
    assert found["ami_leases", (slug,)] == 2
    assert 0 <= found["ami_oldest_lease_age_seconds", ()] < 2
    assert found["ami_inbox_posts", ()] == 1
    assert found["ami_dead_letters", ()] == 1
    assert found["ami_streams", ()] >= 1
    assert found["ami_images_per_second", (slug,)] > 0
    assert found["ami_oldest_unfinished_job_age_seconds", ("async_api",)] >= 0
    assert {found["ami_snapshot_source_up", (source,)] for source in table.SOURCES} == {1}

    world.background.run()
    world.work_off(job)
    found = figures()
    done = rows("SELECT count(*) FROM jobs_jobtask WHERE status = 2")[0][0]
    assert found["ami_jobs", (Job.objects.get().status, "async_api")] == 1
    assert (done, found["ami_inbox_posts", ()], found["ami_inbox_oldest_age_seconds", ()]) == (3, 0, 0)


def test_health_checks_and_queues_of_celery_are_on_the_page(world: World) -> None:
    run_check("inbox")
    found = figures()
    assert found["ami_health_last_run_age_seconds", ("inbox",)] < 30
    assert found["ami_health_last_fixed", ("inbox",)] == 0
    assert {queue for name, queue in found if name == "ami_celery_queue_depth"} == {
        (queue,) for queue in others.QUEUES
    }


def test_counters_count_what_happened(world: World, client: Client) -> None:
    before = scrape(client)
    job = world.started_job(5)
    world.work_off(job)
    after = scrape(client)
    host = socket.gethostname()

    def grew(name: str, *labels: str) -> float:
        key = (name, frozenset({*labels, "web", host}))
        return after.get(key, 0) - before.get(key, 0)

    assert grew("ami_tasks_reserved_total", "first") == 5
    assert grew("ami_results_received_total", "queued") == 5
    assert grew("ami_images_saved_total") == 5
    assert grew("ami_queue_published_total") == 5
    assert grew("ami_queue_settled_total", "ack") == 5


@pytest.mark.django_db(transaction=True)
def test_the_page_has_every_name_of_the_table_and_no_other(client: Client) -> None:
    answer = client.get("/metrics", headers={"authorization": f"Bearer {TOKEN}"})
    families = text_string_to_metric_families(answer.content.decode())
    shown = {f"{known.name}_total" if known.type == "counter" else known.name for known in families}
    assert shown == set(TABLE)


def test_the_page_of_the_docs_is_up_to_date() -> None:
    assert reference.page() == Path(reference.PAGE).read_text()


def test_the_table_says_what_to_do_and_links_to_pages_that_there_are() -> None:
    folder = Path(reference.PAGE).parent
    for known in TABLE.values():
        assert known.high, known.name
        for part in known.high.split("](")[1:]:
            assert (folder / part.partition(")")[0]).exists(), known.name


def test_many_scrapes_make_one_snapshot(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[int] = []
    take = snapshot.take
    monkeypatch.setattr(snapshot, "take", lambda: taken.append(1) or take())  # type: ignore[func-returns-value]
    for _ in range(5):
        snapshot.current()
    assert len(taken) == 1
    monkeypatch.setattr(snapshot, "_latest", None)  # another process, which finds it in the cache
    snapshot.current()
    assert len(taken) == 1


def test_without_a_cache_a_snapshot_is_taken_all_the_same(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "get", lambda *_: None)
    monkeypatch.setattr(cache, "add", lambda *_, **__: False)
    assert snapshot.current().samples


def test_a_silent_nats_makes_its_figures_absent_and_nobody_wait(
    world: World, settings: Settings, silent_server: str, client: Client
) -> None:
    settings.NATS_URL = f"nats://{silent_server}"
    began = time.monotonic()
    found = scrape(client)
    assert time.monotonic() - began < snapshot.OTHERS_SECONDS + 1
    assert found["ami_snapshot_source_up", frozenset({"nats"})] == 0
    assert found["ami_snapshot_source_up", frozenset({"postgres"})] == 1
    assert ("ami_streams", frozenset()) not in found


def test_a_silent_redis_and_broker_make_their_figures_absent(
    world: World, settings: Settings, silent_server: str
) -> None:
    settings.REDIS_URL = f"redis://{silent_server}/0"
    settings.CELERY_BROKER_URL = f"redis://{silent_server}/1"
    began = time.monotonic()
    found = figures()
    assert time.monotonic() - began < snapshot.OTHERS_SECONDS + 1
    assert {found["ami_snapshot_source_up", (source,)] for source in ("redis", "broker")} == {0}
    assert not {"ami_leases", "ami_celery_queue_depth"} & {name for name, _ in found}


def test_a_silent_postgres_is_a_figure_and_no_error(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshot, "DATABASE_SECONDS", 0.2)
    monkeypatch.setattr(snapshot, "ask_postgres", lambda _checks: time.sleep(1))
    found = figures()
    assert found["ami_snapshot_source_up", ("postgres",)] == 0
    assert found["ami_snapshot_source_up", ("redis",)] == 1
    assert not {"ami_jobs", "ami_leases"} & {name for name, _ in found}


def test_a_snapshot_reads_of_the_ledger_only_the_index_of_what_failed(world: World) -> None:
    statements = [text for name, text in vars(database).items() if name.isupper() and isinstance(text, str)]
    assert [text for text in statements if "jobs_jobtask" in text] == [database._DEAD]
    with transaction.atomic():
        execute("SET LOCAL enable_seqscan = off")
        plan = str(rows("EXPLAIN (FORMAT JSON) " + database._DEAD, [10]))
    assert "task_failed_" in plan
    assert "Seq Scan" not in plan
