"""Secrets are random, kept for the next start, and nobody else's business."""

from __future__ import annotations

from pathlib import Path
from stat import S_IMODE

import pytest

from ami.demo.credentials import load_credentials
from ami.demo.errors import DemoError


def test_every_folder_has_secrets_of_its_own(tmp_path: Path) -> None:
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
    one, two = map(load_credentials, folders)
    assert not {one.secret_key, one.admin_password, one.operator_password} & {
        two.secret_key,
        two.admin_password,
        two.operator_password,
    }


def test_secrets_stay_the_same_and_private(tmp_path: Path) -> None:
    made = load_credentials(tmp_path)
    assert load_credentials(tmp_path) == made
    (file,) = tmp_path.iterdir()
    assert S_IMODE(file.stat().st_mode) == 0o600


def test_damaged_file_is_explained(tmp_path: Path) -> None:
    (tmp_path / "credentials.json").write_text("{")
    with pytest.raises(DemoError, match="is damaged"):
        load_credentials(tmp_path)
