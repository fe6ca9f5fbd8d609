"""Forms that are too large, have too many fields, or come where none is taken."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from pytest_django.fixtures import Settings

from ami.jobs.tests.api.lab import JOBS, at
from ami.tests.hostile.cases import Call, Case, assert_refused, each
from ami.tests.hostile.victim import RESERVE, Victim

pytestmark = [pytest.mark.hostile, pytest.mark.integration]

KIB = 1024
FIELDS = "application/x-www-form-urlencoded"
PARTS = "multipart/form-data; boundary=B"
LOGIN = "/api/v2/auth/token/login/"
LONG = b"x" * 32 * KIB
UPLOAD = "/api/v2/captures/upload/?process_now=0"


@pytest.fixture(autouse=True)
def small(settings: Settings) -> None:
    """Limits that are reached with little."""
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 256 * KIB
    settings.WORKER_CALL_MAX_BYTES = 32 * KIB


def part(name: str, content: bytes, more: str = "") -> bytes:
    """One field of a multipart form; with `more` a file."""
    return b'--B\r\nContent-Disposition: form-data; name="%b"%b\r\n\r\n%b\r\n' % (
        name.encode(),
        more.encode(),
        content,
    )


def file_of(size: int) -> bytes:
    """A multipart form with a file."""
    return part("image", b"x" * size, '; filename="moth.jpg"') + b"--B--\r\n"


def form(
    name: str, who: str, address: str, body: bytes, refusal: tuple[int, str], content: str = FIELDS
) -> Case:
    """A form of somebody in the project."""
    return Case(name, lambda it: Call(it.lab.client(who), address, body, content=content), *refusal)


def job(victim: Victim) -> bytes:
    """The fields of a good job."""
    return b"name=New&delay=0&project_id=%d" % victim.world.project.pk


def with_job(more: bytes) -> Callable[[Victim], Call]:
    """The form of a good job, and more."""
    return lambda it: Call(it.lab.client("manager"), JOBS, job(it) + more, content=FIELDS)


def tasks(victim: Victim) -> Call:
    """A form that asks for tasks, at length."""
    return Call(victim.honest, at(victim.job, "tasks"), b"batch_size=1&x=" + LONG, content=FIELDS)


SMALL = (413, "larger than 32 KiB")
LARGE = (413, "larger than 256 KiB")
NOT_TAKEN = (415, "Unsupported media type")
MANY = (400, "too many fields")


@each(
    Case("large form", with_job(b"&x=" + LONG), *SMALL),
    Case("large form that asks for tasks", tasks, *SMALL),
    Case("form of 2,000 fields", with_job(b"&a=1" * 2_000), *MANY),
    form("multipart with a large file", "manager", JOBS, file_of(256 * KIB), LARGE, PARTS),
    form("upload that is too large", "manager", UPLOAD, file_of(256 * KIB), LARGE, PARTS),
    form("large login", "anonymous", LOGIN, b"email=a&password=" + LONG, SMALL),
    form("large login in JSON", "anonymous", LOGIN, b'{"email":"%b"}' % LONG, SMALL, "application/json"),
    form("reservation as a form", "worker", RESERVE, b"batch_size=1", NOT_TAKEN),
)
def test_a_form_that_is_too_much_or_not_taken_is_refused(victim: Victim, case: Case) -> None:
    assert_refused(victim, case)


def test_a_form_that_is_small_enough_makes_a_job(victim: Victim) -> None:
    """What is refused above is refused for its size, and for nothing else."""
    assert with_job(b"&x=1")(victim).send().status_code == 201
