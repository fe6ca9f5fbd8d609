"""The list that workers poll (`ids_only`): where is there work for me?

By default a worker gets one job a call, in random order, so that many workers spread over many jobs. It must
not be one that has nothing for it: an existing worker starts processes for every job that it is shown.
"""

from __future__ import annotations

from collections.abc import Sequence

from django.db.models import Case, IntegerField, OuterRef, Q, QuerySet, Subquery, Value, When
from django.db.models.functions import Now

from ami.jobs.models import Job, JobTask
from ami.jobs.states import SERVING, DispatchMode, TaskState
from ami.main.api.access import Access
from ami.main.models import Project

TASKS_PERMISSION = "tasks_ml_job"

_SERVING = Q(status__in=SERVING, dispatch_mode=DispatchMode.ASYNC_API)


def workplaces(access: Access) -> list[int]:
    """The projects in which the caller may take tasks; none for those who are no workers."""
    if access.user.is_superuser:
        return list(Project.objects.filter(active=True).order_by("pk").values_list("pk", flat=True))
    return sorted(project for project in access.projects() if access.may(TASKS_PERMISSION, project))


def polled(jobs: QuerySet[Job], projects: Sequence[int], *, incomplete_only: bool) -> QuerySet[Job]:
    """The jobs that a caller who works in `projects` is shown; of all projects, if it works in none.

    With `incomplete_only`, started jobs are left out while every image of theirs is in somebody's hands, and
    those that hand out tasks come before those that do not yet.
    """
    jobs = jobs.filter(pipeline__isnull=False)
    if projects:
        jobs = jobs.filter(project__in=projects)
    if not incomplete_only:
        return jobs.order_by("?")
    ready_first = Case(When(_SERVING, then=Value(0)), default=Value(1), output_field=IntegerField())
    has_work = ~_SERVING | Q(free_task__isnull=False)
    return jobs.alias(free_task=Subquery(_free_tasks())).filter(has_work).order_by(ready_first, "?")


def _free_tasks() -> QuerySet[JobTask, int]:
    """A task of the outer job that reserve would hand out now.

    From the end of the publishing order: there the next one is, while there are any. A subquery with a limit
    and not EXISTS, which the planner may turn into a look at the whole ledger.
    """
    unleased = Q(leased_until__isnull=True) | Q(leased_until__lte=Now())
    due = Q(not_before__isnull=True) | Q(not_before__lte=Now())
    tasks = JobTask.objects.filter(unleased, due, job_id=OuterRef("pk"), status=TaskState.PENDING)
    return tasks.order_by("-position").values_list("pk", flat=True)[:1]
