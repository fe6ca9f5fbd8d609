"""Secrets of one demo: made at its first start, kept in its data folder for its owner alone."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path

from ami.demo.errors import DemoError

DOMAIN = "demo.localhost"


@dataclass(frozen=True)
class Accounts:
    """E-mail addresses of the demo's people."""

    admin: str
    operator: str
    worker: str


@dataclass(frozen=True)
class Credentials:
    """What must be neither guessed nor the same on two machines."""

    secret_key: str
    admin_password: str
    operator_password: str

    def accounts(self, *, shared: bool) -> Accounts:
        """Whose secrets these are.

        `shared`: the database is not the demo's own. Then the names are those of this data folder alone, so
        that demos with different secrets and media never meet in one project.
        """
        mark = f"-{hashlib.sha256(self.secret_key.encode()).hexdigest()[:8]}" if shared else ""
        return Accounts(*(f"{role}{mark}@{DOMAIN}" for role in ("admin", "operator", "worker")))


def load_credentials(folder: Path) -> Credentials:
    """Those of this folder; made and stored if it has none."""
    file = folder / "credentials.json"
    try:
        return Credentials(**json.loads(file.read_text()))
    except FileNotFoundError:
        made = Credentials(secrets.token_urlsafe(50), secrets.token_urlsafe(12), secrets.token_urlsafe(12))
        write_private(file, json.dumps(asdict(made), indent=2) + "\n")
        return made
    except (ValueError, TypeError) as error:
        raise DemoError(f"{file} is damaged. Delete {folder} to begin anew.") from error


def write_private(file: Path, text: str) -> None:
    """Write a file whole or not at all, readable by its owner alone."""
    unfinished = _unfinished(file)
    unfinished.write_text(text)
    unfinished.replace(file)


def check_private(file: Path) -> None:
    """Raise OSError if `write_private` could not write this file; leaves nothing."""
    _unfinished(file).unlink()


def _unfinished(file: Path) -> Path:
    unfinished = file.with_name(f".{file.name}.{os.getpid()}")
    unfinished.unlink(missing_ok=True)
    unfinished.touch(mode=0o600)
    return unfinished
