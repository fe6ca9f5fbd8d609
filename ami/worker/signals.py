"""Signals that end a worker: the first in good order, the second at once.

Python runs its signal handlers between two steps of the main thread, which may be inside of a pipeline for
minutes. So the handlers do nothing; a thread reads from the file descriptor to which Python writes the number
of every signal the moment it arrives.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
from collections.abc import Iterator

ENDING = (signal.SIGTERM, signal.SIGINT)
MESSAGE = b"ami-worker: finishing and posting the batch in process; once more to quit at once\n"


@contextlib.contextmanager
def stopped_by_signals(stop: threading.Event) -> Iterator[None]:
    """Inside the block, SIGTERM or Ctrl-C sets `stop`; another one ends the process. Main thread only."""
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    watcher = threading.Thread(target=_watch, args=(reader, stop), name="signals", daemon=True)
    watcher.start()
    before = {number: signal.signal(number, lambda *_: None) for number in ENDING}
    descriptor = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    try:
        yield
    finally:
        signal.set_wakeup_fd(descriptor)
        for number, handler in before.items():
            signal.signal(number, handler)
        writer.close()
        watcher.join()
        reader.close()


def _watch(reader: socket.socket, stop: threading.Event) -> None:
    stopping = False
    while numbers := reader.recv(64):
        for number in numbers:
            if number not in ENDING:
                continue
            if stopping:
                os._exit(128 + number)
            stopping = True
            stop.set()
            os.write(2, MESSAGE)
