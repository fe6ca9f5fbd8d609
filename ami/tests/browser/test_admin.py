"""What operators do on the admin site, in a real browser on a running platform."""

from __future__ import annotations

import re

import pytest
import requests

from ami.tests.browser.seeing import Visitor
from ami.tests.e2e.made_up import TwoBoxes
from ami.tests.e2e.platform import PATIENCE_SECONDS, Platform
from ami.tests.e2e.project import Project

pytestmark = pytest.mark.xdist_group("browser")  # all of it on one platform


def polls(platform: Platform, key: str) -> int:
    """The status of a worker's call with this key."""
    return requests.post(
        f"{platform.url}/api/v2/tasks/reserve/",
        json={"batch_size": 1},
        headers={"Authorization": f"Token {key}"},
        timeout=PATIENCE_SECONDS,
    ).status_code


def test_a_worker_key_is_made_shown_once_and_revoked(operator: Visitor, platform: Platform) -> None:
    Project.create(platform, TwoBoxes())
    service = platform.database.rows("SELECT max(id) FROM ml_processingservice")[0][0]
    operator.go(f"/admin/ml/processingservice/{service}/change/")
    operator.click("Make a worker key", "button")
    operator.see("amiw_")
    operator.look("admin-key-made")
    (key,) = set(re.findall(r"amiw_\w{30,}", operator.page.content()))
    assert polls(platform, key) == 200

    operator.go("/admin/ml/workerkey/")
    assert key not in operator.page.content()
    operator.look("admin-keys")
    operator.page.locator("#result_list a", has_text=key[:13]).first.click()
    operator.click("Revoke …", "button")
    operator.look("admin-key-about-to-be-revoked")
    operator.click("Yes, revoke", "button")
    platform.wait_until(lambda: polls(platform, key) == 401, "the key is refused")


def test_a_job_is_looked_into_and_cancelled_in_the_admin(operator: Visitor, platform: Platform) -> None:
    project = Project.create(platform, TwoBoxes())
    project.upload_blank(2)
    job = project.start_job()
    project.hold(job, 1)
    operator.go("/admin/jobs/job/")
    operator.look("admin-jobs")
    operator.go(f"/admin/jobs/job/{job}/change/")
    operator.see("Does everything agree?")
    operator.look("admin-job")
    operator.click("Cancel …", "button")
    operator.see("will not be processed")
    operator.look("admin-job-about-to-be-cancelled")
    operator.page.locator("button.house-button-bad").click()
    assert platform.wait_for_end(job).status == "REVOKED"
