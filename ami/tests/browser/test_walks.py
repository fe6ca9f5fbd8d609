"""What people do on the pages, in a real browser on a running platform."""

from __future__ import annotations

from pathlib import Path

import pytest

from ami.tests.browser.seeing import Visitor
from ami.tests.e2e.platform import Platform
from ami.tests.e2e.project import Project
from ami.worker.pipelines.light_trap_contours import LightTrapContours
from ami.worker.sheets import make_sheet

pytestmark = pytest.mark.xdist_group("browser")  # all of it on one platform


@pytest.fixture
def sheets(platform: Platform) -> Project:
    """A project with three drawn sheets of insects."""
    project = Project.create(platform, LightTrapContours())
    for seed in range(3):
        project.upload(make_sheet(seed, size=(480, 360), insects=5)[0], f"sheet-{seed}.jpg")
    return project


def files_of(platform: Platform, project: Project) -> list[Path]:
    """The pictures of a project, in order."""
    rows = platform.database.rows(
        "SELECT path FROM main_sourceimage WHERE project_id = %s ORDER BY id", project.id
    )
    return [Path(platform.folder, "media", path) for (path,) in rows]


def start(operator: Visitor, project: Project, expect: str) -> None:
    """Start a job over all captures of a project, by clicks."""
    operator.click("Projects")
    operator.page.locator(f'a[href="/projects/{project.id}/"]').first.click()
    operator.click("Start a job")
    operator.page.get_by_label("Capture set").select_option(str(project.capture_set_id))
    operator.see(expect)
    operator.click("Start", "button")
    operator.page.wait_for_url("**/jobs/*/")


def test_a_job_is_started_followed_and_repaired_from_the_pages(
    operator: Visitor, platform: Platform, sheets: Project
) -> None:
    broken = files_of(platform, sheets)[1]
    picture = broken.read_bytes()
    broken.write_bytes(b"this was a photograph once")
    start(operator, sheets, "3 captures.")
    operator.look("job-begun")
    with platform.workers("worker", batch_size=2):
        operator.see("1 image: The image could not be read")
        operator.page.locator(".status", has_text="Success").wait_for()
        operator.see("is not an image")
        operator.look("job-with-a-failure")
        operator.page.locator('#live a[href^="/captures/"]').first.click()
        operator.see("failed: The image could not be read")
        operator.look("capture-that-failed")
        operator.page.go_back()

        broken.write_bytes(picture)
        operator.click("Retry these", "button")
        operator.see("1 image will be done again.")
        operator.page.get_by_text("Nothing.", exact=True).wait_for()
        operator.page.locator(".status", has_text="Success").wait_for()
    operator.look("job-repaired")
    operator.page.get_by_role("link", name="All captures").or_(
        operator.page.locator(f'a[href="/sets/{sheets.capture_set_id}/"]')
    ).first.click()
    operator.look("set")
    operator.page.locator(".grid a").first.click()
    assert operator.page.locator("#boxes rect").count() >= 5
    operator.look("capture-with-boxes")


def test_a_job_without_workers_says_so_and_is_cancelled(
    operator: Visitor, platform: Platform, sheets: Project
) -> None:
    platform.database.execute("UPDATE ml_processingservice SET last_seen_live = false, last_seen = NULL")
    start(operator, sheets, "none online for pipeline")
    operator.see("Waiting for workers")
    operator.page.get_by_text("Cancel…").click()
    operator.look("job-about-to-be-cancelled")
    operator.click("Cancel the job", "button")
    operator.see("The job was cancelled.")
    operator.page.locator(".status", has_text="Canceled").wait_for()
    operator.click("Jobs")
    operator.look("jobs")


def test_a_page_that_lost_the_server_says_of_when_it_is(operator: Visitor, sheets: Project) -> None:
    start(operator, sheets, "3 captures.")
    operator.page.context.set_offline(True)
    operator.see("The server does not answer.")
    operator.page.context.set_offline(False)
    operator.page.locator("#stale").wait_for(state="hidden")
    operator.complaints.clear()  # of the time without a network
    operator.page.get_by_text("Cancel…").click()
    operator.click("Cancel the job", "button")


def test_what_was_opened_stays_open_while_the_page_follows(
    operator: Visitor, platform: Platform, sheets: Project
) -> None:
    start(operator, sheets, "3 captures.")
    operator.page.get_by_text("Cancel…").click()
    button = operator.page.get_by_role("button", name="Cancel the job")
    button.focus()
    platform.database.execute('UPDATE jobs_job SET "limit" = 777')
    operator.see("777 captures")
    assert button.is_visible()
    assert button.evaluate("element => element === document.activeElement")
    button.click()


def test_what_a_job_found_is_exported_from_its_page(
    operator: Visitor, platform: Platform, sheets: Project
) -> None:
    job = sheets.start_job()
    with platform.workers("worker", batch_size=2):
        found = platform.wait_for_end(job).figure("results", "detections")
    operator.go(f"/jobs/{job}/")
    operator.page.locator("summary", has_text="Export").click()
    operator.page.get_by_label("CSV").check()
    operator.look("export-to-be-made")
    operator.click("Export", "button")
    operator.page.wait_for_url("**/exports/*/")
    link = operator.page.get_by_role("link", name="Download")
    link.wait_for()
    operator.look("export-made")
    with operator.page.expect_download() as download:
        link.click()
    lines = Path(download.value.path()).read_text("utf-8-sig").splitlines()
    assert len(lines) == 1 + found


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nobody_is_kept_out(operator: Visitor, platform: Platform, sheets: Project, scheme: str) -> None:
    job = sheets.start_job()
    with platform.workers("worker", batch_size=2):
        platform.wait_for_end(job)
    capture = platform.database.rows("SELECT min(id) FROM main_sourceimage WHERE project_id = %s", sheets.id)[
        0
    ][0]
    found = {}
    for path in (
        "/overview/",
        "/projects/",
        f"/projects/{sheets.id}/",
        f"/projects/{sheets.id}/start/",
        f"/projects/{sheets.id}/exports/",
        f"/sets/{sheets.capture_set_id}/",
        f"/captures/{capture}/",
        "/jobs/",
        f"/jobs/{job}/",
        "/workers/",
    ):
        operator.go(path)
        if barriers := operator.barriers(scheme):
            found[path] = barriers
    assert not found
    operator.page.emulate_media(color_scheme="light")
    operator.go("/overview/")
    operator.look("overview")


def test_the_keyboard_reaches_the_content_first(stranger: Visitor) -> None:
    stranger.go("/projects/")
    stranger.page.keyboard.press("Tab")
    assert stranger.page.evaluate("document.activeElement.textContent") == "Skip to the content"
    stranger.page.keyboard.press("Enter")
    assert stranger.page.evaluate("document.activeElement.id") == "main"
