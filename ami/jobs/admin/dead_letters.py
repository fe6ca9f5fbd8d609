"""Dead letters in the admin: what failed for good, and having it done again."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString

from ami.base.admin.asking import remember
from ami.base.admin.pages import MOST_COUNTED
from ami.base.admin.shown import link, number
from ami.base.api.fields import parse_key
from ami.jobs.admin.filters import FailedSinceFilter, JobNumberFilter, WorkerFilter
from ami.jobs.admin.large import RowsOfJobsAdmin, first_line
from ami.jobs.lifecycle.requeue import Requeued, Selection, images_by_job, obstacle, requeue_each
from ami.jobs.models import Attempt, DeadLetter, Job
from ami.main.addresses import address_of
from ami.main.models import SourceImage

MOST_JOBS = 500
"""Jobs that one click may start again: each takes some milliseconds, and somebody waits."""

MOST_TOLD = 10
"""Jobs that are told one by one when they refuse."""

TOO_MANY = (
    "More than {most:,} {what} at once, please not here: narrow the list with its filters, or use "
    "manage.py requeue_dead_letters."
)


@admin.register(DeadLetter)
class DeadLetterAdmin(RowsOfJobsAdmin):
    """Failed images, newest first, with all that is known of each, and actions that requeue them."""

    list_display = (
        "failed_at",
        "job_link",
        "capture_link",
        "meaning",
        "reason",
        "attempts_used",
        "last_worker",
        "run",
    )
    list_display_links = ("failed_at",)
    list_filter = ("error_code", FailedSinceFilter, JobNumberFilter, WorkerFilter, "job__project")
    search_help_text = "The number of a job or of a capture."
    ordering = ("-failed_at", "-pk")
    actions = ("requeue_selected", "requeue_jobs")
    fields = (
        "job_link",
        "capture",
        "picture",
        "error",
        "error_text",
        "attempts_used",
        "last_worker",
        "run",
        "reopened",
        "failed_at",
    )
    readonly_fields = fields

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """By the number of a job or of a capture, both indexed; any other text finds nothing."""
        if not search_term.strip():
            return queryset, False
        number = parse_key(search_term)
        return queryset.filter(Q(job_id=number) | Q(image_id=number)), False

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """The page of a letter, with its attempts of all runs in their order."""
        letter = self.get_object(request, object_id)
        more: dict[str, Any] = {"may_requeue": self.has_requeue_permission(request)}
        if letter is not None:
            attempts = Attempt.objects.filter(job_id=letter.job_id, image_id=letter.image_id)
            more["obstacle"] = obstacle(letter.job)
            more["attempts"] = attempts.order_by("run", "attempt")
        return super().change_view(request, object_id, form_url, (extra_context or {}) | more)

    def has_requeue_permission(self, request: HttpRequest) -> bool:
        """Who may change jobs here: requeueing starts them again."""
        return request.user.has_perm("jobs.change_job")

    @admin.display(description="job")
    def job_link(self, letter: DeadLetter) -> SafeString:
        """To the job's page."""
        return link("admin:jobs_job_change", letter.job_id, str(letter.job))

    @admin.display(description="capture")
    def capture_link(self, letter: DeadLetter) -> SafeString:
        """To the capture's page, which may be gone."""
        return link("admin:main_sourceimage_change", letter.image_id, str(letter.image_id))

    @admin.display
    def capture(self, letter: DeadLetter) -> SafeString | str:
        """The capture by its name, if it is still there."""
        found = _capture_of(letter)
        if found is None:
            return f"{letter.image_id} (it was deleted)"
        return link("admin:main_sourceimage_change", letter.image_id, f"{letter.image_id}: {found}")

    @admin.display
    def picture(self, letter: DeadLetter) -> SafeString | str:
        """The file itself, as a worker would get it."""
        found = _capture_of(letter)
        url = address_of(found, "") if found else None
        if url is None:
            return "There is no file."
        return format_html(
            '<a href="{}" rel="noreferrer"><img src="{}" alt="{}" loading="lazy" '
            'referrerpolicy="no-referrer"></a>',
            url,
            url,
            "The file cannot be shown; follow the link to see why.",
        )

    @admin.display(description="error")
    def meaning(self, letter: DeadLetter) -> str:
        """What its code means."""
        return letter.meaning

    @admin.display
    def error(self, letter: DeadLetter) -> str:
        """Its code in words, and as it is called elsewhere."""
        return f"{letter.meaning} ({letter.error_code})"

    @admin.display
    def reason(self, letter: DeadLetter) -> str:
        """The first line of the error's text."""
        return first_line(letter.error_text)

    @admin.display
    def attempts_used(self, letter: DeadLetter) -> int:
        """Of this run."""
        return letter.attempts_used

    @admin.display
    def last_worker(self, letter: DeadLetter) -> SafeString | str:
        """Who had it last; a click shows what else that worker failed at."""
        if not letter.worker:
            return "-"
        everything = reverse("admin:jobs_deadletter_changelist")
        query = urlencode({WorkerFilter.parameter_name: letter.worker})
        return format_html('<a href="{}?{}">{}</a>', everything, query, letter.worker)

    @admin.action(description="Requeue selected dead letters", permissions=["requeue"])
    def requeue_selected(self, request: HttpRequest, queryset: QuerySet[DeadLetter]) -> None:
        """Have these images done again, and no others."""
        images = images_by_job(queryset.order_by()[: MOST_COUNTED + 1])
        if sum(map(len, images.values())) > MOST_COUNTED:
            messages.error(request, TOO_MANY.format(most=MOST_COUNTED, what="images"))
            return
        _tell_of_gone(request, queryset)
        self._requeue(request, images)

    @admin.action(description="Requeue all dead letters of the selected ones' jobs", permissions=["requeue"])
    def requeue_jobs(self, request: HttpRequest, queryset: QuerySet[DeadLetter]) -> None:
        """Have everything done again that failed in these jobs."""
        jobs = queryset.order_by().values_list("job_id", flat=True).distinct()
        _tell_of_gone(request, queryset)
        self._requeue(request, dict.fromkeys(jobs[: MOST_JOBS + 1]))

    def _requeue(self, request: HttpRequest, selection: Selection) -> None:
        if len(selection) > MOST_JOBS:
            messages.error(request, TOO_MANY.format(most=MOST_JOBS, what="jobs"))
            return
        done = requeue_each(selection, by=f"user {request.user.pk}")
        jobs = Job.objects.in_bulk([one.job_id for one in done if one.images])
        for one in done:
            if one.job_id in jobs:
                words = f"Asked: requeue; {number(one.images, 'dead letter')}."
                remember(self, request, jobs[one.job_id], words)
        tell(request, done)


def tell(request: HttpRequest, done: list[Requeued]) -> None:
    """Say how many images were requeued in how many jobs, and which were not and why."""
    images = sum(one.images for one in done)
    jobs = sum(1 for one in done if one.images)
    if images:
        messages.success(request, f"Requeued {number(images, 'image')} in {number(jobs, 'job')}.")
    refused = [one for one in done if one.left or one.why]
    for one in refused[:MOST_TOLD]:
        left = f"{number(one.left, 'image')} not requeued. " if one.left else ""
        messages.warning(request, f"Job #{one.job_id}: {left}{one.why}")
    if rest := refused[MOST_TOLD:]:
        left = number(sum(one.left for one in rest), "image")
        messages.warning(request, f"{number(len(rest), 'more job')} with {left} not requeued.")


def _tell_of_gone(request: HttpRequest, letters: QuerySet[DeadLetter]) -> None:
    """Say how many of the rows that were ticked are dead letters no more."""
    if request.POST.get("select_across", "0") != "0":
        return
    gone = len(set(request.POST.getlist(ACTION_CHECKBOX_NAME))) - letters.count()
    if gone > 0:
        which = f"{number(gone, 'selected image')} {'is' if gone == 1 else 'are'} no dead letter any more"
        messages.warning(request, f"{which}: requeued already, or deleted with the job.")


def _capture_of(letter: DeadLetter) -> SourceImage | None:
    return SourceImage.objects.filter(pk=letter.image_id).first()
