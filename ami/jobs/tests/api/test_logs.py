"""The log of a job on the wire (contract 1.8)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from ami.jobs.models import Job, JobLog
from ami.jobs.tests.api.lab import ROLE_OF, Lab, at

pytestmark = pytest.mark.integration

AT_TEN = datetime(2026, 4, 15, 10, 0, 5, tzinfo=UTC)


@pytest.fixture
def job(lab: Lab) -> Job:
    """A job with three lines in its log."""
    made = lab.world.job()
    JobLog.objects.bulk_create(
        JobLog(job=made, level=level, message=message, created_at=AT_TEN + timedelta(seconds=n))
        for n, (level, message) in enumerate(
            [("INFO", "Running."), ("ERROR", "Image 7 cannot be read."), ("CRITICAL", "On fire.")]
        )
    )
    return made


def test_lines_come_newest_first_with_time_and_level(lab: Lab, job: Job) -> None:
    assert lab.get(at(job)).json()["logs"] == {
        "stdout": [
            "[2026-04-15 10:00:07] CRITICAL On fire.",
            "[2026-04-15 10:00:06] ERROR Image 7 cannot be read.",
            "[2026-04-15 10:00:05] INFO Running.",
        ],
        "stderr": ["On fire.", "Image 7 cannot be read."],
    }


def test_fewer_lines_may_be_asked_for(lab: Lab, job: Job) -> None:
    logs = lab.get(at(job), logs_limit=1).json()["logs"]
    assert logs == {"stdout": ["[2026-04-15 10:00:07] CRITICAL On fire."], "stderr": ["On fire."]}


def test_a_senseless_number_of_lines_is_a_400(lab: Lab, job: Job) -> None:
    for limit in ("0", "5001", "-1", "x", "1.5"):
        answer = lab.get(at(job), logs_limit=limit)
        assert answer.status_code == 400, limit
        assert list(answer.json()) == ["logs_limit"]


def test_a_browser_gets_a_page_about_a_senseless_number_of_lines(lab: Lab, job: Job) -> None:
    answer = lab.client("superuser").get(at(job), {"logs_limit": "x"}, headers={"Accept": "text/html"})
    assert answer.status_code == 400
    assert "A valid integer is required." in answer.content.decode()


def test_nothing_is_done_for_a_senseless_number_of_lines(lab: Lab, job: Job) -> None:
    assert lab.client("superuser").patch(f"{at(job)}?logs_limit=x", {"name": "New"}).status_code == 400
    job.refresh_from_db()
    assert job.name != "New"


def test_a_list_of_jobs_shows_no_lines(lab: Lab, job: Job) -> None:
    assert lab.get().json()["results"][0]["logs"] == {"stdout": [], "stderr": []}


def test_strangers_see_the_job_without_its_log(lab: Lab, job: Job) -> None:
    for who in ("anonymous", "outsider"):
        answer = lab.get(at(job), who)
        assert answer.status_code == 200, who
        assert answer.json()["logs"] == {"stdout": [], "stderr": []}, who


def test_everybody_in_the_project_reads_its_log(lab: Lab, job: Job) -> None:
    for who in (*ROLE_OF, "superuser"):
        assert len(lab.get(at(job), who).json()["logs"]["stdout"]) == 3, who


def test_the_owner_of_a_project_reads_its_log_without_a_role(lab: Lab, job: Job) -> None:
    lab.world.project.owner = lab.user("outsider")
    lab.world.project.save()
    assert len(lab.get(at(job), "outsider").json()["logs"]["stdout"]) == 3
