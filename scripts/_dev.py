"""Development in one terminal: migrate, then run web, Celery and beat; Celery starts again when code changes.

`scripts/dev` starts this with the servers' addresses in the environment.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from ami.embedded.processes import ProcessGroup  # noqa: E402 - the checkout is not installed

LOOK_SECONDS = 1.0
CELERY = [sys.executable, "-m", "celery", "--app", "config.celery"]
BACKGROUND = {
    "celery": [
        *CELERY,
        "worker",
        "--queues",
        "default,jobs,results,health",
        "--concurrency",
        "2",
        "--loglevel",
        "info",
    ],
    "beat": [*CELERY, "beat", "--schedule", str(ROOT / ".ami" / "dev" / "beat")],
}


def main() -> int:
    """Run until Ctrl-C or until a process ends by itself."""
    parser = argparse.ArgumentParser(prog="scripts/dev")
    parser.add_argument("--port", default="8000", help="port of the web server on this machine")
    options = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.local")
    os.environ.setdefault("METRICS_DIR", str(ROOT / ".ami" / "dev" / "metrics"))
    manage = [sys.executable, "manage.py"]
    subprocess.run([*manage, "migrate", "--verbosity", "0"], check=True)  # noqa: S603
    with ProcessGroup() as group:
        try:
            group.start("web", [*manage, "runserver", options.port])
            for name, argv in BACKGROUND.items():
                group.start(name, argv)
            return _watch(group)
        except KeyboardInterrupt:
            return 0


def _watch(group: ProcessGroup) -> int:
    seen = _newest_change()
    while (ended := group.wait(LOOK_SECONDS)) is None:
        if seen != (seen := _newest_change()):
            # Django's server for development does this by itself.
            print("The code has changed: starting Celery and beat again.", flush=True)
            for name in BACKGROUND:
                group.restart(name)
    print(f"{ended.name} has ended with code {ended.returncode}, so everything stops.", file=sys.stderr)
    return 1


def _newest_change() -> float:
    files = (path for package in ("ami", "config") for path in (ROOT / package).rglob("*.py"))
    return max(path.stat().st_mtime for path in files)


if __name__ == "__main__":
    sys.exit(main())
