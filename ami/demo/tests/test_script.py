"""`scripts/demo --help` asks for nothing: no Python, no virtual environment, no folder to write into."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

from ami.demo.options import _parser
from ami.demo.programs import ROOT


def test_help_needs_no_python_and_names_every_option_and_variable(tmp_path: Path) -> None:
    scripts = tmp_path / "scripts"
    scripts.mkdir()
    for name in ("demo", "lib.sh"):
        shutil.copy(ROOT / "scripts" / name, scripts)
    scripts.chmod(0o555)
    tmp_path.chmod(0o555)
    nowhere = "/nonexistent/python"
    done = subprocess.run(
        ["bash", scripts / "demo", "--help"],
        env={**os.environ, "PYTHON": nowhere, "AMI_VENV": nowhere},
        capture_output=True,
        text=True,
        check=False,
    )
    tmp_path.chmod(0o755)
    assert (done.returncode, done.stderr) == (0, "")
    told = set(re.findall(r"--[a-z]+", done.stdout))
    assert told == set(re.findall(r"--[a-z]+", _parser().format_help()))
    for variable in ("DATABASE_URL", "REDIS_URL", "NATS_URL", "CELERY_BROKER_URL"):
        assert variable in done.stdout
        assert variable in _parser().format_help()
