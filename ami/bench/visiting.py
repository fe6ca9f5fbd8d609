"""What a page needs to be let in, for the benchmark of open pages."""

from __future__ import annotations

from django.db.models import Max

from ami.dashboard.live.passes import Pass, issue
from ami.jobs.models import Job


def addresses(user_id: int, count: int) -> list[str]:
    """Of so many pages: half show the job that is created next (410 until then), half the overview."""
    newest: int = Job.objects.aggregate(newest=Max("pk"))["newest"] or 0
    job, overview = Pass("job", user_id, str(newest + 1)), Pass("overview", user_id)
    return [issue(job if number % 2 else overview) for number in range(count)]
