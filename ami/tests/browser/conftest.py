"""A platform, and a browser to look at it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from ami.demo.programs import ROOT
from ami.tests.browser.seeing import ARGUMENTS, NO_CHROMIUM, Visitor, find_chromium
from ami.tests.e2e.accounts import ADMIN_EMAIL, PASSWORD
from ami.tests.e2e.conftest import platform as platform
from ami.tests.e2e.conftest import template_database as template_database
from ami.tests.e2e.platform import Platform


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here needs a browser."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)
            item.add_marker(pytest.mark.e2e)


@pytest.fixture(scope="session")
def pictures() -> Path:
    """Where screenshots are kept, to be looked at: AMI_SCREENSHOTS, or a folder of the checkout."""
    folder = Path(os.environ.get("AMI_SCREENSHOTS") or ROOT / ".ami" / "screenshots")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture
def browser() -> Iterator[Browser]:
    """The system's Chromium, without a window; a new one for each test.

    While it is open, an event loop runs in this thread, and tests beside these want one of their own.
    """
    path = find_chromium()
    if path is None:
        pytest.skip(NO_CHROMIUM)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(ARGUMENTS))
        yield browser
        browser.close()


@pytest.fixture
def stranger(
    browser: Browser, platform: Platform, pictures: Path, request: pytest.FixtureRequest
) -> Iterator[Visitor]:
    """Somebody without an account; at the end the console must have been silent."""
    visitor = Visitor(browser, platform.url, pictures)
    yield visitor
    visitor.page.screenshot(path=pictures / f"end-of-{request.node.name}.png", full_page=True)
    visitor.page.close()
    assert not visitor.complaints


@pytest.fixture
def operator(stranger: Visitor) -> Visitor:
    """The administrator, logged in."""
    stranger.log_in(ADMIN_EMAIL, PASSWORD)
    return stranger
