"""Worker keys in the admin. A key is shown once, in the message after it was made."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.defaultfilters import date
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timezone import localtime

from ami.base.admin import ModelAdmin, chosen
from ami.base.admin.asking import ask, go_back, is_confirmed, remember
from ami.base.admin.buttons import Button
from ami.base.admin.shown import label, number
from ami.base.errors import InvalidInput
from ami.main.models import Project
from ami.ml import keys
from ami.ml.models import ProcessingService, WorkerKey
from ami.users.models import User

HELP = {
    "service": "Whose workers use the key. Services with an endpoint have none: we call them.",
    "name": "For people: where the key is used.",
    "projects": "Projects of the service; the key is good in no others.",
    "every_pipeline": "Serve every pipeline of these projects. Then the list of pipelines does not matter.",
    "pipelines": "Otherwise: the only pipelines that it may serve.",
    "expires_at": "Empty: until it is revoked.",
    "last_used_at": "To the minute.",
    "rotated_from": "The key in whose place this one came.",
}


class KeyForm(forms.ModelForm):  # type: ignore[type-arg]
    """A new key; what makes no sense is refused where it was typed."""

    class Meta:
        model = WorkerKey
        fields = ("service", "name", "projects", "every_pipeline", "pipelines", "expires_at")

    def clean(self) -> dict[str, Any]:
        """Ask the rules of `keys.mint` before anything is made."""
        cleaned: dict[str, Any] = super().clean() or {}
        if self.errors:
            return cleaned
        try:
            keys.check(cleaned["service"], list(cleaned["projects"]), cleaned["expires_at"])
        except InvalidInput as error:
            raise forms.ValidationError(error.message) from None
        return cleaned


@admin.register(WorkerKey)
class WorkerKeyAdmin(ModelAdmin):
    """Keys: made, rotated and revoked here; what one is good for cannot change, make another instead."""

    explanation = (
        "With a key the workers of one service take tasks and post results. It is shown once, on top of the "
        "page, right after it was made. To replace one without losing work, select it and rotate it; to end "
        "one now, revoke it."
    )
    list_display = ("begins_with", "state", "service", "name", "last_used_at", "created_at")
    list_filter = (chosen("service"), "expires_at", "revoked_at", "last_used_at")
    list_select_related = ("service",)
    search_fields = ("prefix", "name", "service__name")
    search_help_text = "How the key begins after amiw_, its name, or its service."
    autocomplete_fields = ("service", "projects", "pipelines")
    actions = ("rotate_keys", "revoke_keys")
    form = KeyForm
    _shown = ("begins_with", "state", "last_used_at", "created_at", "created_by", "rotated_from")

    def get_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """What one may say of a new key, and what is known of an old one."""
        return KeyForm.Meta.fields if obj is None else (*KeyForm.Meta.fields, *self._shown)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """Only the name of a key may change."""
        return () if obj is None else tuple(name for name in self.get_fields(request, obj) if name != "name")

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        """The checks are for new keys."""
        if obj is not None:
            kwargs["form"] = forms.ModelForm
        return super().get_form(request, obj, change=change, help_texts=HELP, **kwargs)

    def save_model(self, request: HttpRequest, obj: WorkerKey, form: Any, change: bool) -> None:
        """Make a new key, and show it; an old one keeps everything but its name."""
        if change:
            WorkerKey.objects.filter(pk=obj.pk).update(name=obj.name)
            return
        said = form.cleaned_data
        made = keys.mint(
            service=said["service"],
            projects=said["projects"],
            pipelines=None if said["every_pipeline"] else said["pipelines"],
            name=said["name"],
            expires_at=said["expires_at"],
            created_by=account(request),
        )
        obj.pk = made.key.pk
        obj.prefix, obj.digest, obj.created_at = made.key.prefix, made.key.digest, made.key.created_at
        obj._state.adding = False
        show_once(self, request, made)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Projects and pipelines were set when the key was made."""

    @admin.display(description="key", ordering="prefix")
    def begins_with(self, key: WorkerKey) -> str:
        """Its beginning, as it stands in the settings of a worker."""
        return f"{keys.MARK}{key.prefix}…"

    @admin.display
    def state(self, key: WorkerKey) -> SafeString:
        """Whether it is good, and until when, or since when not."""
        if key.revoked_at is not None:
            return label(_with_date("revoked", key.revoked_at), "bad")
        if key.expires_at is None:
            return label("good", "good")
        if key.is_usable:
            return label(_with_date("good until", key.expires_at), "good")
        return label(_with_date("ended", key.expires_at), "quiet")

    def buttons(self, request: HttpRequest, row: Any) -> Iterator[Button]:
        """For a key that is good."""
        if row.is_usable:
            yield Button("rotate_keys", "Rotate …")
            yield Button("revoke_keys", "Revoke …", is_grave=True)

    @admin.action(
        description="Rotate: make a new key, the old one goes on for a day …", permissions=["change"]
    )
    def rotate_keys(self, request: HttpRequest, queryset: QuerySet[WorkerKey]) -> HttpResponse | None:
        """A new key for each, once that is agreed to; each is shown once."""
        rows = list(queryset.order_by("pk"))
        if not is_confirmed(request):
            what = "The new key is shown once, on top of the next page. The old one goes on for a day."
            title = f"Rotate {number(len(rows), 'key')}?"
            return ask(self, request, rows, title=title, consequences=[what], button="Yes, rotate")
        for key in rows:
            try:
                show_once(self, request, keys.rotate(key, created_by=account(request)))
            except InvalidInput as error:
                self.message_user(request, f"{key}: {error.message}", messages.ERROR)
            else:
                remember(self, request, key, "Asked: rotate.")
        return go_back(request)

    @admin.action(description="Revoke: end now …", permissions=["change"])
    def revoke_keys(self, request: HttpRequest, queryset: QuerySet[WorkerKey]) -> HttpResponse | None:
        """End each, once that is agreed to; workers that use it are refused within seconds."""
        rows = list(queryset.order_by("pk"))
        if not is_confirmed(request):
            what = (
                "Workers that use it are refused within seconds, and hand in no results. "
                "What they hold goes to others when their leases end. This cannot be undone."
            )
            title = f"Revoke {number(len(rows), 'key')}?"
            return ask(self, request, rows, title=title, consequences=[what], button="Yes, revoke")
        revoked = [key for key in rows if keys.revoke(key)]
        for key in revoked:
            remember(self, request, key, "Asked: revoke.")
        words = f"Revoked: {number(len(revoked), 'key')}. Workers that use it are refused within seconds."
        self.message_user(request, words)
        return go_back(request)


class MintsKeys(ModelAdmin):
    """Lists of services, which make keys for their workers."""

    def has_mint_permission(self, request: HttpRequest) -> bool:
        """Who may add worker keys."""
        return request.user.has_perm("ml.add_workerkey")

    @admin.action(description="Make a worker key, good in all of its projects", permissions=["mint"])
    def make_keys(self, request: HttpRequest, queryset: QuerySet[ProcessingService]) -> HttpResponse | None:
        """A key for each service; each is shown once."""
        for service in queryset.order_by("pk"):
            try:
                projects = Project.objects.filter(processing_services=service)
                made = keys.mint(service=service, projects=projects, created_by=account(request))
            except InvalidInput as error:
                self.message_user(request, f"{service}: {error.message}", messages.ERROR)
            else:
                show_once(self, request, made)
                remember(self, request, made.key, "Asked: make.")
        return go_back(request)


def show_once(model_admin: admin.ModelAdmin[Any], request: HttpRequest, made: keys.NewKey) -> None:
    """The only time that a key is shown; a click selects all of it."""
    words = format_html(
        'The new key of {}: <code style="user-select: all">{}</code> '
        "Copy it now into AMI_TOKEN of its workers: nobody can show it again.",
        made.key.service,
        made.secret,
    )
    model_admin.message_user(request, words, messages.WARNING)


def account(request: HttpRequest) -> User | None:
    """Who is at work in the admin."""
    return request.user if isinstance(request.user, User) else None


def _with_date(word: str, moment: datetime) -> str:
    return f"{word} {date(localtime(moment), 'DATETIME_FORMAT')}"
