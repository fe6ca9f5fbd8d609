"""The most telling scenarios on small jobs; `scripts/chaos` runs all of them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ami.demo.programs import ROOT

pytestmark = [pytest.mark.chaos, pytest.mark.integration, pytest.mark.timeout(400)]

IMAGES = 24
TELLING = (
    "F3:save.before_commit",
    "F11:store and Redis",
    "F20:in parallel",
    "F28:results in Celery",
)


def test_every_promise_is_kept_while_the_platform_is_broken(tmp_path: Path) -> None:
    report = tmp_path / "chaos.json"
    command = [sys.executable, "-m", "ami.chaos", *TELLING, "--images", str(IMAGES), "--json", str(report)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    runs = json.loads(report.read_text())
    assert len(runs) == len(TELLING)
    assert all(run["samples"] for run in runs)
