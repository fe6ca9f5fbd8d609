"""Failpoints of running processes, armed and disarmed from outside while they run.

Every point is armed when the processes start, to fire once; a firing leaves a file, and where that file lies
already nothing happens. So the files are there from the beginning, and removing one arms its point.
"""

from __future__ import annotations

from pathlib import Path

APPLYING = (
    "save.claimed",
    "save.after_predictions",
    "save.before_commit",
    "save.after_commit",
    "advance.after_pending",
    "advance.after_projection",
    "acknowledge.before",
    "acknowledge.after",
    "finish.before_update",
    "finish.before_cleanup",
)
"""What Celery comes by when it saves a result and ends a job."""

DISPATCHING = ("collect.before_commit", "collect.after_chunk", "publish.after_epoch", "publish.first")
"""What Celery comes by when it dispatches a job."""

ANSWERING = ("receive.before_commit", "receive.after_commit", "receive.after_enqueue", "reserve.after_commit")
"""What the web server comes by when a worker calls, and mostly Celery, too, when a service has answered."""

PUSHING = ("push.before_lease", "push.leased", "push.answered")
"""What Celery comes by when it pushes images to a service, beside those of `ANSWERING`."""

CRASHES = (*APPLYING, *DISPATCHING, *ANSWERING, *PUSHING)
PAUSES = ("publish.half",)


class Failpoints:
    """The points of one platform; `folder` is shared with its processes."""

    def __init__(self, folder: Path) -> None:
        """All points are disarmed."""
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self.disarm()

    @property
    def environment(self) -> dict[str, str]:
        """What the processes need to know."""
        modes = [f"{point}=crash*1" for point in CRASHES] + [f"{point}=pause*1" for point in PAUSES]
        return {"AMI_FAILPOINTS": ",".join(modes), "AMI_FAILPOINT_DIR": str(self._folder)}

    def arm(self, point: str) -> None:
        """The next process that comes by is killed there, or waits there until `release`."""
        self._go(point).unlink(missing_ok=True)
        self._hit(point).unlink(missing_ok=True)

    def fired(self, point: str) -> bool:
        """Whether a process came by since the point was armed."""
        return self._hit(point).exists()

    def release(self, point: str) -> None:
        """Let whoever waits there go on."""
        self._go(point).touch()

    def disarm(self) -> None:
        """Let everybody pass, and go on, everywhere."""
        for point in (*CRASHES, *PAUSES):
            self._hit(point).touch()
            self.release(point)

    def _hit(self, point: str) -> Path:
        return self._folder / f"{point}.0.hit"

    def _go(self, point: str) -> Path:
        return self._folder / f"{point}.go"
