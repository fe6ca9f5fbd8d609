"""The page docs/reference/states.md, from `ami.jobs.states`."""

from __future__ import annotations

from ami.jobs.states import (
    ALLOWED,
    CANCELABLE,
    FINAL,
    RUNNING,
    SERVING,
    TASK_ALLOWED,
    DispatchMode,
    ErrorCode,
    JobState,
    TaskState,
)
from config.docs.tables import table

HEAD = """# States

Which states a job and its images can be in, which change may follow which, and the words of the wire for
them. [The life of a job](lifecycle.md) has the rules behind the changes, [How a job
runs](../explanation/how-a-job-runs.md) the story. This page and its drawings are made from
`ami/jobs/states.py` by `python -m config.docs`.

## Jobs

![A job is created, pending, started, and ends as success, failure or revoked](images/job-states.svg)

Dashed states are known to the wire, but nothing of ours puts a job there. A change that is not in the
table does not happen: every change is one conditional `UPDATE`, and who comes too late does nothing.

"""

IMAGES = """A row of the ledger per job and image. Only a retry leads out of an outcome; out of `PROCESSED`
only in a project with the flag `reprocess_all_images`.

![An image is pending, received, and ends as processed, failed or cancelled](images/image-states.svg)
"""

MEANINGS = {
    JobState.CREATED: "It exists; nobody has asked to run it.",
    JobState.PENDING: "Somebody asked to run it; it waits for its dispatch.",
    JobState.STARTED: "At work: captures are collected, images handed out, or steps taken.",
    JobState.SUCCESS: "Nothing is open, and at most `FAILURE_THRESHOLD` (half) of the images failed.",
    JobState.FAILURE: "More than that failed, or it could not go on; its log says why.",
    JobState.RETRY: "Served and ended like a started one; ours are retried as pending.",
    JobState.CANCELING: "On its way to being cancelled; ours are cancelled at once.",
    JobState.REVOKED: "Somebody cancelled it.",
    JobState.RECEIVED: "A word of the wire for a queue's answer.",
    JobState.UNKNOWN: "A word of the wire for what nobody knows.",
}
TASK_MEANINGS = {
    TaskState.PENDING: "To be done: in the queue, leased to a worker, or pausing after a failed attempt.",
    TaskState.RECEIVED: "A result was accepted; it is in Postgres and waits for being saved.",
    TaskState.PROCESSED: "Its predictions are saved, or it is known that there is nothing on it.",
    TaskState.FAILED: "It failed for good, and says why: a [dead letter](../howto/operate/dead-letters.md).",
    TaskState.CANCELLED: "The job was cancelled before it was done.",
}
SETS = (
    ("ended", FINAL),
    ("running", RUNNING),
    ("hands out images", SERVING),
    ("can be cancelled", CANCELABLE),
)


def page() -> str:
    """The whole page."""
    jobs = (
        (f"`{state}`", state.label, MEANINGS[state], _names(ALLOWED[state]), _sets(state))
        for state in JobState
    )
    tasks = (
        (f"`{state.name}`", str(state.value), TASK_MEANINGS[state], _names(TASK_ALLOWED[state]))
        for state in TaskState
    )
    return "\n".join(
        [
            HEAD + table(("state", "people read", "means", "may become", "is"), jobs),
            "## Images of a job\n",
            IMAGES,
            table(("state", "number", "means", "may become"), tasks),
            "## Why an image failed\n",
            table(("code", "means"), ((f"`{code}`", code.label) for code in ErrorCode)),
            "[What to do about each](../howto/operate/dead-letters.md#what-the-codes-mean)\n",
            "## Who works on a job\n",
            table(("`dispatch_mode`", "means"), ((f"`{mode}`", mode.label) for mode in DispatchMode)),
        ]
    )


def _names(states: frozenset[JobState] | frozenset[TaskState]) -> str:
    return ", ".join(f"`{state.name}`" for state in sorted(states, key=_place))


def _place(state: JobState | TaskState) -> int:
    """Where its class declares it, so that lists have the order of life."""
    return list(type(state)).index(state)


def _sets(state: JobState) -> str:
    return ", ".join(words for words, states in SETS if state in states)
