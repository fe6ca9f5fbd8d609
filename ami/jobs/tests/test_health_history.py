"""Reports of health checks: kept for operators, and the history stays short."""

from __future__ import annotations

from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.test import Client
from django.urls import reverse
from structlog.testing import capture_logs

from ami.base import clock
from ami.jobs.health import runner
from ami.jobs.health.report import Report
from ami.jobs.health.runner import CHECKS, Check, run_check
from ami.jobs.health.snapshots import check_snapshots
from ami.jobs.models import HealthReport, Job, JobLog
from ami.jobs.schedule import SCHEDULE
from ami.jobs.tests.faults import lose_claims
from ami.jobs.tests.world import World
from ami.users.tests.factories import client_of, make_user

pytestmark = pytest.mark.integration
REPORTS = "/api/v2/health/reports/"


def always(checked: int = 0, fixed: int = 0) -> Check:
    """A check that comes to these counts."""

    def check(*, dry_run: bool = False) -> Report:
        return Report(checked, fixed)

    return check


def test_every_check_is_in_the_schedule() -> None:
    assert {entry.arguments[0] for entry in SCHEDULE if entry.task == "jobs.health"} == set(CHECKS)


def test_quiet_runs_share_a_report_and_others_have_their_own(
    light_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for check in (always(checked=1), always(checked=2), always(checked=3, fixed=1), always(), always()):
        monkeypatch.setattr(runner, "CHECKS", {"inbox": check})
        run_check("inbox")
    kept = HealthReport.objects.order_by("pk").values_list("runs", "checked", "fixed")
    assert list(kept) == [(2, 2, 0), (1, 3, 1), (2, 0, 0)]
    first = HealthReport.objects.earliest("pk")
    assert first.first_at < first.last_at


def test_old_reports_are_forgotten(light_world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    old = clock.now() - timedelta(days=31)
    for name in ("inbox", "dispatch"):
        HealthReport.objects.create(
            check_name=name, first_at=old, last_at=old, seconds=0, checked=0, fixed=1, unfixable=0
        )
    monkeypatch.setattr(runner, "CHECKS", {"inbox": always(fixed=1)})
    run_check("inbox")
    assert HealthReport.objects.filter(last_at=old).values_list("check_name", flat=True).get() == "dispatch"


def test_a_dry_run_repairs_nothing_and_is_not_kept(light_world: World) -> None:
    light_world.accepted_job(2)
    lose_claims()
    out = StringIO()
    call_command("run_health", "--dry-run", stdout=out)
    assert "inbox: checked 1, would fix 1, unfixable 0" in out.getvalue()
    assert len(out.getvalue().splitlines()) == len(CHECKS)
    assert not HealthReport.objects.exists()
    assert not light_world.background.asked
    call_command("run_health", "--check", "inbox", stdout=out)
    assert "inbox: checked 1, fixed 1, unfixable 0" in out.getvalue()
    assert light_world.background.asked


def test_the_staff_reads_the_reports_over_the_api(light_world: World) -> None:
    run_check("inbox")
    run_check("dispatch")
    staff = client_of(make_user(is_staff=True))
    answer = staff.get(REPORTS, {"check_name": "inbox"})
    assert [row["check"] for row in answer.json()["results"]] == ["inbox"]
    assert client_of(make_user()).get(REPORTS).status_code == 403


def test_an_operator_runs_checks_in_the_admin(light_world: World, client: Client) -> None:
    light_world.accepted_job(2)
    run_check("inbox")
    lose_claims()
    client.force_login(make_user(is_superuser=True, is_staff=True))
    page = reverse("admin:jobs_healthreport_changelist")
    assert client.get(page, {"result": "quiet"}).status_code == 200
    keys = list(HealthReport.objects.values_list("pk", flat=True))
    answer = client.post(page, {"action": "run_again", "_selected_action": keys}, follow=True)
    said = [str(message) for message in answer.context["messages"]]
    assert said == ["inbox: checked 1, fixed 1, unfixable 0."]


def test_a_snapshot_says_how_a_job_stands(light_world: World) -> None:
    job = light_world.started_job(6)
    tasks = light_world.reserve(job, 4)
    light_world.post(job, [light_world.success(task) for task in tasks[:2]])
    light_world.background.run()
    with capture_logs() as lines:
        assert check_snapshots() == Report(checked=1)
    line = next(line for line in lines if line["event"] == "job.snapshot")
    assert (line["job_id"], line["left"], line["leased"]) == (job.pk, 4, 2)
    assert (line["waiting"], line["redelivered"], line["services_online"]) == (2, 0, 0)
    assert line["eta_seconds"] == 240
    assert JobLog.objects.filter(job=job, message__startswith="4 images left, 2 with workers").count() == 1


def test_snapshots_of_a_job_that_stands_still_do_not_fill_its_log(light_world: World) -> None:
    job = light_world.started_job(2)
    before = JobLog.objects.filter(job=job).count()
    with capture_logs() as lines:
        check_snapshots()
    assert [line["eta_seconds"] for line in lines if line["event"] == "job.snapshot"] == [None]
    assert JobLog.objects.filter(job=job).count() == before
    assert Job.objects.get(pk=job.pk).status == "STARTED"
