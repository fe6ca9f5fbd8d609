"""Who may read the figures of the system."""

from __future__ import annotations

import urllib.error
import urllib.request
from pathlib import Path

import pytest
from django.test import Client
from pytest_django.fixtures import Settings

from ami.base.metrics.counted import TASKS
from ami.jobs.metrics import snapshot
from config.checks import check_metrics
from config.metrics import page
from config.metrics.celery import serve

TOKEN = "a-token-for-prometheus"


@pytest.fixture(autouse=True)
def nothing_to_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    """No server is needed to be turned away."""
    monkeypatch.setattr(page, "current", lambda: snapshot.Snapshot(0.0, []))


def status(client: Client, **extra: str) -> int:
    """What a call for the page is answered with."""
    return client.get("/metrics", **extra).status_code  # type: ignore[arg-type]


def test_nobody_reads_figures_on_a_server_that_was_told_nothing(client: Client) -> None:
    answer = client.get("/metrics")
    assert (answer.status_code, answer["WWW-Authenticate"]) == (401, "Bearer")
    assert b"METRICS_TOKEN" in answer.content


def test_everybody_reads_them_in_development(client: Client, settings: Settings) -> None:
    settings.DEBUG = True
    assert status(client) == 200
    settings.METRICS_TOKEN = TOKEN
    assert status(client) == 401


def test_the_token_opens_and_another_one_does_not(client: Client, settings: Settings) -> None:
    settings.METRICS_TOKEN = TOKEN
    assert status(client, HTTP_AUTHORIZATION=f"Bearer {TOKEN}") == 200
    for shown in (f"Token {TOKEN}", "Bearer ", f"Bearer {TOKEN}x", TOKEN, "Bearer ü"):
        assert status(client, HTTP_AUTHORIZATION=shown) == 401, shown


def test_a_network_opens_for_direct_calls_only(client: Client, settings: Settings) -> None:
    settings.METRICS_NETWORKS = ["10.1.0.0/16"]
    assert status(client, REMOTE_ADDR="10.1.2.3") == 200
    assert status(client, REMOTE_ADDR="::ffff:10.1.2.3") == 200
    assert status(client, REMOTE_ADDR="10.2.0.1") == 401
    assert status(client, REMOTE_ADDR="10.1.2.3", HTTP_X_FORWARDED_FOR="203.0.113.9") == 401
    assert status(client, REMOTE_ADDR="") == 401


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("METRICS_TOKEN", "short", "ami.E008"),
        ("METRICS_NETWORKS", ["0.0.0.0/0"], "ami.E009"),
        ("METRICS_NETWORKS", ["10.0.0.0/8", "::/0"], "ami.E009"),
        ("METRICS_PORT", 80, "ami.E010"),
    ],
)
def test_nonsense_is_refused(settings: Settings, name: str, value: object, code: str) -> None:
    assert check_metrics() == []
    setattr(settings, name, value)
    assert [message.id for message in check_metrics()] == [code]


def test_a_celery_worker_shows_its_counters_at_a_port_to_who_may_read_them(
    settings: Settings, tmp_path: Path
) -> None:
    settings.METRICS_TOKEN = TOKEN
    TASKS.inc("jobs.save", "SUCCESS")
    server = serve(0)
    address = f"http://127.0.0.1:{server.server_port}/metrics"
    try:
        with pytest.raises(urllib.error.HTTPError, match="401"):
            urllib.request.urlopen(address)
        shown = urllib.request.Request(address, headers={"Authorization": f"Bearer {TOKEN}"})
        with urllib.request.urlopen(shown) as answer:
            text = answer.read().decode()
    finally:
        server.shutdown()
        server.server_close()
    assert 'ami_celery_tasks_total{host="",process="celery",state="SUCCESS",task="jobs.save"}' in text
