"""Under which account Postgres runs: it refuses to run as root.

Root has two ways out. *nobody* is the simple one, if it can reach the program and the data. Below a folder
like /root (mode 0700) it cannot, and opening that folder is not ours to do; there a user namespace makes
Postgres believe that it is an ordinary user while the files stay root's.
"""

from __future__ import annotations

import os
import pwd
import subprocess
from dataclasses import dataclass
from pathlib import Path

from ami.embedded.errors import EmbeddedError
from ami.embedded.process import spawn

TRIAL_SECONDS = 20


@dataclass(frozen=True)
class Account:
    """What `launch.py` is told, and who has to own the files."""

    how: str
    uid: int
    gid: int

    def owns(self, path: Path) -> None:
        """Give the path to this account."""
        if os.geteuid() == 0:
            os.chown(path, self.uid, self.gid)


def find_account(program: Path, directory: Path) -> tuple[Account, str]:
    """The account that can run this program in this directory, and what `program --version` says.

    Found by trying, because permissions, access lists, mounts and container policies all have a say.
    """
    us = Account("same", os.geteuid(), os.getegid())
    complaints = []
    for account in [us] if us.uid != 0 else [*_nobody(), Account("namespace", 0, 0)]:
        worked, said = _try(account, program, directory)
        if worked:
            return account, said
        complaints.append(said)
    if us.uid != 0:
        raise EmbeddedError(f"{program} does not run: {complaints[0]}")
    raise EmbeddedError(
        "PostgreSQL refuses to run as root, and neither of the ways around that works here: the user "
        f"`nobody` cannot reach {program} or {directory}, and user namespaces are not allowed. Run this as "
        "an ordinary user, or move the checkout and the virtual environment out of folders that only root "
        "can enter, or give DATABASE_URL.\n" + "\n".join(complaints)
    )


def _nobody() -> list[Account]:
    try:
        entry = pwd.getpwnam("nobody")
    except KeyError:
        return []
    return [Account(f"{entry.pw_uid}:{entry.pw_gid}", entry.pw_uid, entry.pw_gid)]


def _try(account: Account, program: Path, directory: Path) -> tuple[bool, str]:
    trial = spawn([program, "--version"], cwd=directory, output=subprocess.PIPE, account=account.how)
    try:
        output, _ = trial.communicate(timeout=TRIAL_SECONDS)
    except subprocess.TimeoutExpired:
        trial.kill()
        trial.communicate()
        return False, f"{program} --version does not answer"
    return trial.returncode == 0, output.decode(errors="replace").strip()
