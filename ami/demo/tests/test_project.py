"""What the demo puts into its database, and that a second start finds it."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.conf import LazySettings
from knox.models import AuthToken
from PIL import Image

from ami.demo.credentials import Credentials
from ami.demo.project import set_up_captures, set_up_project
from ami.main.models import Project, SourceImage, SourceImageCollection
from ami.main.models.project import permissions_in
from ami.users.models import User

pytestmark = [pytest.mark.django_db, pytest.mark.integration]

CREDENTIALS = Credentials("key", "password of the admin", "password of the operator")
ACCOUNTS = CREDENTIALS.accounts(shared=False)


@pytest.fixture
def night(tmp_path: Path, settings: LazySettings) -> Path:
    """A folder with two images and a damaged one."""
    settings.MEDIA_ROOT = tmp_path / "media"
    folder = tmp_path / "night"
    folder.mkdir()
    for number in range(2):
        Image.new("RGB", (8, 8), (100 * number, 0, 0)).save(folder / f"{number}.jpg")
    (folder / "damaged.jpg").write_bytes(b"once a photograph")
    return folder


def test_second_start_finds_project_and_accounts() -> None:
    first, second = set_up_project(CREDENTIALS, ACCOUNTS), set_up_project(CREDENTIALS, ACCOUNTS)
    assert first.id == second.id
    assert first.worker_token != second.worker_token
    assert User.objects.count() == 3


def test_demos_that_share_a_database_touch_nothing_of_each_other() -> None:
    other = Credentials("another key", "another password", "and another")
    theirs = set_up_project(other, other.accounts(shared=True))
    before = list(User.objects.order_by("pk").values()), list(AuthToken.objects.values())
    mine = set_up_project(CREDENTIALS, CREDENTIALS.accounts(shared=True))
    assert mine.id != theirs.id
    assert User.objects.count() == 6
    after = list(User.objects.order_by("pk").values()), list(AuthToken.objects.values())
    assert all(row in now for was, now in zip(before, after, strict=True) for row in was)


def test_worker_may_work_and_nothing_else() -> None:
    project = Project.objects.get(pk=set_up_project(CREDENTIALS, ACCOUNTS).id)
    worker = User.objects.get(email=ACCOUNTS.worker)
    assert not worker.is_superuser
    assert not worker.has_usable_password()
    held = permissions_in(worker, project)
    assert {"tasks_ml_job", "result_ml_job"} <= held
    assert "create_job" not in held
    assert "run_ml_job" in permissions_in(User.objects.get(email=ACCOUNTS.operator), project)


def test_damaged_images_become_captures_too(night: Path) -> None:
    captures = set_up_captures(set_up_project(CREDENTIALS, ACCOUNTS), night, station="Night", limit=9)
    assert captures.count == SourceImage.objects.count() == 3
    assert captures.imported.broken == []


def test_captures_of_the_second_start_are_those_of_the_first(night: Path) -> None:
    project = set_up_project(CREDENTIALS, ACCOUNTS)
    first = set_up_captures(project, night, station="Night", limit=9)
    second = set_up_captures(project, night, station="Night", limit=2)
    assert first.capture_set_id == second.capture_set_id
    assert second.count == 2
    capture_set = SourceImageCollection.objects.get(pk=second.capture_set_id)
    assert [capture.path.rsplit("/")[-1] for capture in capture_set.images.order_by("path")] == [
        "0.jpg",
        "1.jpg",
    ]
