"""pace: how fast images get their results, per project and pipeline, for those who add and remove workers.

Counted when a post is taken, so that it says what workers do and not how fast we save. Kept in Redis by the
minute (`taskqueue.pace`); without Redis nothing is counted, and nothing waits.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from ami.base.metrics.counted import RECEIVED
from ami.jobs.lifecycle import quotas
from ami.jobs.lifecycle.posts import ItemStatus
from ami.jobs.models import Job
from ami.taskqueue import Pace

_DONE = (ItemStatus.QUEUED, ItemStatus.FAILED)


def note_results(job: Job, outcomes: Sequence[ItemStatus]) -> None:
    """A post of this job was taken, and these are the answers to its items. Never raises."""
    counted = Counter(outcomes)
    for status, items in counted.items():
        RECEIVED.inc(str(status.value), amount=items)
    done = sum(counted[status] for status in _DONE)
    pipeline_id = job.pipeline_id
    if done and pipeline_id is not None:
        quotas.tolerate(lambda: Pace().note(job.project_id, pipeline_id, done))
