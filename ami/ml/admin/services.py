"""Processing services in the admin: whether they are there, what they offer, and keys for their workers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.safestring import SafeString

from ami.base.admin import ModelAdmin, chosen
from ami.base.admin.asking import go_back, remember
from ami.base.admin.buttons import Button
from ami.base.admin.shown import age, label, number
from ami.base.errors import AmiError
from ami.ml.admin.keys import MintsKeys
from ami.ml.models import ProcessingService
from ami.ml.services import check_service, check_these, register_offered

MOST_ASKED = 10
"""Questions that one click puts to services one after the other, each of up to 8 s, while somebody waits."""


@admin.register(ProcessingService)
class ProcessingServiceAdmin(MintsKeys, ModelAdmin):
    """Services and when they were last seen. Those with an address are asked; the workers of others call."""

    explanation = (
        "A service with an address is pushed to: check whether it is there, and register the pipelines that "
        "it offers. A service without one has workers that pull: make a key for them, and they register "
        "their pipelines themselves."
    )
    list_display = ("name", "kind", "endpoint_url", "state", "seen", "last_seen_latency")
    list_filter = ("last_seen_live", chosen("projects"), "last_seen")
    search_fields = ("name", "endpoint_url")
    autocomplete_fields = ("projects", "pipelines")
    readonly_fields = ("last_seen", "last_seen_live", "last_seen_latency", "registered_by")
    actions = ("check_now", "register", "make_keys")

    def buttons(self, request: HttpRequest, row: Any) -> Iterator[Button]:
        """What makes sense for its kind."""
        if row.is_async:
            yield Button("make_keys", "Make a worker key")
        else:
            yield Button("check_now", "Check now")
            yield Button("register", "Register its pipelines")

    @admin.display
    def kind(self, service: ProcessingService) -> str:
        """Who calls whom."""
        return "its workers pull" if service.is_async else "pushed to"

    @admin.display(description="online")
    def state(self, service: ProcessingService) -> SafeString:
        """Whether it was seen a moment ago."""
        if service.last_seen is None:
            return label("never seen", "quiet")
        return label("online", "good") if service.is_online else label("offline", "bad")

    @admin.display(description="last seen", ordering="last_seen")
    def seen(self, service: ProcessingService) -> SafeString | str:
        """How long ago."""
        return age(service.last_seen)

    @admin.action(description="Check now whether they are there", permissions=["change"])
    def check_now(self, request: HttpRequest, queryset: QuerySet[ProcessingService]) -> HttpResponse | None:
        """Ask those with an address, all at once; the workers of the others say by themselves."""
        pulling = [service for service in queryset if service.is_async]
        asked = ProcessingService.objects.pushed_to().filter(pk__in=queryset.values("pk"))
        if pulling:
            names = ", ".join(service.name for service in pulling[:MOST_ASKED])
            messages.info(request, f"Not asked, because their workers call us: {names}.")
        if len(asked) == 1:
            self._tell(request, asked[0])
        elif asked:
            there = check_these(asked)
            messages.info(request, f"{there} of {number(len(asked), 'service')} are there.")
        for service in asked:
            remember(self, request, service, "Asked: check now.")
        return go_back(request)

    @admin.action(description="Register the pipelines that they offer", permissions=["change"])
    def register(self, request: HttpRequest, queryset: QuerySet[ProcessingService]) -> HttpResponse | None:
        """Ask each for what it offers, and register that in its projects. Safe to repeat."""
        pairs = [
            (service, project)
            for service in queryset.prefetch_related("projects")[: MOST_ASKED + 1]
            for project in service.projects.all()
        ]
        if not pairs:
            messages.warning(request, "Choose the projects of the service first, and save.")
        if len(pairs) > MOST_ASKED:
            messages.error(request, f"That are more than {MOST_ASKED} questions: choose fewer services.")
            return go_back(request)
        for service, project in pairs:
            try:
                _, offered = register_offered(project=project, service=service)
            except AmiError as error:
                messages.error(request, f"{service} in {project}: {error.message}")
                continue
            names = ", ".join(pipeline.slug for pipeline in offered) or "nothing"
            messages.success(request, f"{service} offers in {project}: {names}.")
            remember(self, request, service, f"Asked: register its pipelines in {project}.")
        return go_back(request)

    def _tell(self, request: HttpRequest, service: ProcessingService) -> None:
        """What one service says."""
        check = check_service(service)
        if not check.is_live:
            messages.error(request, f"{service} is not there. {check.error or ''}")
            return
        ready = ", ".join(check.slugs) or "no pipeline"
        messages.success(request, f"{service} is there, after {check.seconds:.2f} s; ready: {ready}.")
