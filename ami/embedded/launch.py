"""Becomes another program: `python -I -S launch.py PARENT ACCOUNT DIRECTORY PROGRAM ARGUMENT...`.

Runs as a fresh interpreter between our fork and the program's exec. That is what `preexec_fn` is for, but
`preexec_fn` may deadlock in a process with threads. Imports the standard library only, and little of it,
because every start of a server waits for it.

`PARENT`: the process to die with, or 0. `ACCOUNT`: "same", "namespace", or "UID:GID".
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
CLONE_NEWUSER = 0x10000000
INHERITED_AS_IGNORED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


def main(parent: int, account: str, directory: str, program: list[str]) -> None:
    """Take the account, the directory and the parent's fate, then become the program."""
    libc = ctypes.CDLL(None, use_errno=True)
    if account == "namespace":
        enter_namespace(libc)
    elif account != "same":
        user, group = account.split(":")
        os.setgroups([])
        os.setgid(int(group))
        os.setuid(int(user))
    os.chdir(directory)
    # After the change of account, which clears it.
    if parent and sys.platform == "linux":
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            sys.exit("the process that wanted this server is gone")
    # `nohup` and `command &` in a script leave signals ignored, and exec would pass that on.
    for number in INHERITED_AS_IGNORED:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    os.execvp(program[0], program)  # noqa: S606 - becoming that program is the purpose


def enter_namespace(libc: ctypes.CDLL) -> None:
    """Look like an ordinary user while keeping root's files reachable: user 1 inside is root outside."""
    user, group = os.geteuid(), os.getegid()
    if libc.unshare(CLONE_NEWUSER) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"user namespaces are not allowed here: {os.strerror(number)}")
    for name, content in (("setgroups", "deny"), ("uid_map", f"1 {user} 1"), ("gid_map", f"1 {group} 1")):
        with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
            file.write(content)


if __name__ == "__main__":
    try:
        main(int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4:])
    except OSError as error:
        sys.exit(f"cannot start {sys.argv[4]}: {error}")
