"""The documentation keeps up with the code: links lead somewhere, and every warning has its page.

Links inside docs/ are checked by the build of the site (`scripts/check`); this is about what it does not see.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.management import get_commands

from ami.demo.programs import ROOT
from ami.jobs.health.runner import CHECKS
from ami.jobs.states import ALLOWED, ErrorCode, JobState
from config import health
from config.docs import diagrams

DOCS = ROOT / "docs"
WARNINGS = DOCS / "howto" / "operate" / "warnings.md"
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
MENTION = re.compile(r"docs/[\w/-]+\.md")
LOGGED = re.compile(r'logger\.(?:warning|error|exception|critical)\(\s*"([a-z_.]+)"')
CHECK_ID = re.compile(r'"(ami\.[EW]\d{3})"')
OF_SERVERS = ("base", "taskqueue", "users", "main", "ml", "jobs", "dashboard")


def sources(*folders: str) -> Iterator[Path]:
    """Python files that are no tests."""
    for folder in folders:
        yield from (file for file in (ROOT / folder).rglob("*.py") if "tests" not in file.parts)


def found(pattern: re.Pattern[str], *folders: str) -> list[str]:
    """What a pattern finds in the code of these folders."""
    return sorted({hit for file in sources(*folders) for hit in pattern.findall(file.read_text())})


SERVER = ("config", *(f"ami/{name}" for name in OF_SERVERS))
PAGES = sorted(DOCS.rglob("*.md"))


@pytest.mark.parametrize("name", ["README.md", "CHANGELOG.md"])
def test_links_of_the_first_pages_lead_somewhere(name: str) -> None:
    targets = LINK.findall((ROOT / name).read_text())
    assert not [target for target in targets if "://" not in target and not (ROOT / target).exists()]


@pytest.mark.parametrize("page", PAGES, ids=[page.relative_to(DOCS).as_posix() for page in PAGES])
def test_links_of_the_docs_lead_to_files(page: Path) -> None:
    """A link to a folder works on a code host only."""
    for target in LINK.findall(page.read_text()):
        if "://" not in target:
            assert (page.parent / target).is_file(), target


@pytest.mark.parametrize("page", PAGES, ids=[page.relative_to(DOCS).as_posix() for page in PAGES])
def test_every_page_begins_with_a_sentence_that_says_what_it_is_for(page: Path) -> None:
    title, _, rest = page.read_text().partition("\n\n")
    assert title.startswith("# ")
    assert re.match(r"[A-Z*`\[“\"]", rest.lstrip()), rest[:80]
    assert not rest.startswith(("|", "```", "#", "- "))


def mentioned() -> list[str]:
    """The pages that code, templates and alert rules name."""
    files = [*sources("config", "ami"), *(ROOT / "ami").rglob("*.html"), *(ROOT / "compose").rglob("*.yml")]
    return sorted({page for file in files for page in MENTION.findall(file.read_text())})


@pytest.mark.parametrize("page", mentioned())
def test_a_page_that_the_code_names_is_there(page: str) -> None:
    assert (ROOT / page).is_file()


@pytest.mark.parametrize("event", found(LOGGED, *SERVER))
def test_a_warning_in_the_log_has_a_line_that_says_what_to_do(event: str) -> None:
    assert f"`{event}`" in WARNINGS.read_text()


@pytest.mark.parametrize("number", found(CHECK_ID, "config"))
def test_a_refused_setting_has_a_line_that_says_what_to_do(number: str) -> None:
    assert f"`{number}`" in WARNINGS.read_text()


@pytest.mark.parametrize("check", sorted(CHECKS))
def test_a_health_check_has_a_line_that_says_what_its_figures_mean(check: str) -> None:
    assert f"| `{check}` |" in WARNINGS.read_text()


@pytest.mark.parametrize("part", sorted(health.CHECKS))
def test_a_part_of_readyz_has_a_page(part: str) -> None:
    assert f"`{part}`" in (DOCS / "howto" / "operate" / "README.md").read_text()


@pytest.mark.parametrize("code", list(ErrorCode))
def test_a_code_of_a_failed_image_has_a_line_that_says_what_to_do(code: ErrorCode) -> None:
    assert f"`{code}`" in (DOCS / "howto" / "operate" / "dead-letters.md").read_text()


def test_every_runbook_is_in_the_table_of_symptoms() -> None:
    folder = DOCS / "howto" / "operate"
    table = (folder / "README.md").read_text()
    assert not [
        page.name for page in folder.glob("*.md") if page.name != "README.md" and page.name not in table
    ]


def test_every_command_is_on_the_page_of_commands() -> None:
    page = (DOCS / "reference" / "commands.md").read_text()
    ours = [name for name, app in get_commands().items() if app.startswith("ami.")]
    assert ours
    assert not [name for name in ours if f"| `{name}" not in page]


def test_a_drawing_of_states_that_lacks_a_change_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ALLOWED, JobState.CREATED, frozenset({JobState.STARTED, *ALLOWED[JobState.CREATED]}))
    with pytest.raises(ValueError, match="lacks the arrow from CREATED to STARTED"):
        diagrams.job_states()


def test_a_drawing_of_states_with_a_change_too_many_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ALLOWED, JobState.CREATED, frozenset({JobState.PENDING}))
    with pytest.raises(ValueError, match="draws the arrow from CREATED to REVOKED"):
        diagrams.job_states()
