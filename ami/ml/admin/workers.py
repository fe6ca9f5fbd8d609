"""Worker keys and workers in the admin. A key is shown once, in the message after it was made."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from ami.base.errors import InvalidInput
from ami.main.models import Project
from ami.ml import keys
from ami.ml.models import ProcessingService, WorkerInstance, WorkerKey
from ami.users.models import User


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
class WorkerKeyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Keys: made, rotated and revoked here; what one is good for cannot change, make another instead."""

    list_display = (
        "prefix",
        "service",
        "name",
        "usable",
        "last_used_at",
        "expires_at",
        "revoked_at",
        "created_at",
    )
    list_filter = ("service",)
    list_select_related = ("service",)
    search_fields = ("prefix", "name", "service__name")
    autocomplete_fields = ("service", "projects", "pipelines")
    actions = ("rotate_keys", "revoke_keys")
    form = KeyForm
    _shown = ("prefix", "last_used_at", "revoked_at", "created_at", "created_by", "rotated_from")

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
        return super().get_form(request, obj, change=change, **kwargs)

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

    @admin.display(boolean=True, description="good")
    def usable(self, key: WorkerKey) -> bool:
        """Neither revoked nor over."""
        return key.is_usable

    @admin.action(description="Rotate: make a new key, the old one goes on for a day")
    def rotate_keys(self, request: HttpRequest, chosen: QuerySet[WorkerKey]) -> None:
        """A new key for each; each is shown once."""
        for key in chosen.order_by("pk"):
            try:
                show_once(self, request, keys.rotate(key, created_by=account(request)))
            except InvalidInput as error:
                self.message_user(request, f"{key}: {error.message}", messages.ERROR)

    @admin.action(description="Revoke: end now")
    def revoke_keys(self, request: HttpRequest, chosen: QuerySet[WorkerKey]) -> None:
        """End each; workers that use it are refused within seconds."""
        revoked = sum(keys.revoke(key) for key in chosen.order_by("pk"))
        self.message_user(request, f"{revoked} keys revoked; they stop working within seconds.")


@admin.action(description="Make a worker key, good in all of its projects")
def make_keys(
    model_admin: admin.ModelAdmin[ProcessingService],
    request: HttpRequest,
    chosen: QuerySet[ProcessingService],
) -> None:
    """A key for each service; each is shown once."""
    for service in chosen.order_by("pk"):
        try:
            projects = Project.objects.filter(processing_services=service)
            made = keys.mint(service=service, projects=projects, created_by=account(request))
        except InvalidInput as error:
            model_admin.message_user(request, f"{service}: {error.message}", messages.ERROR)
        else:
            show_once(model_admin, request, made)


def show_once(model_admin: admin.ModelAdmin[Any], request: HttpRequest, made: keys.NewKey) -> None:
    """The only time that a key is shown."""
    model_admin.message_user(
        request,
        f"The new key of {made.key.service} is {made.secret}. Copy it now: nobody can show it again.",
        messages.WARNING,
    )


def account(request: HttpRequest) -> User | None:
    """Who is at work in the admin."""
    return request.user if isinstance(request.user, User) else None


@admin.register(WorkerInstance)
class WorkerInstanceAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Workers by name. They introduce themselves; people only look."""

    list_display = (
        "name",
        "service",
        "user",
        "online_now",
        "last_seen",
        "hostname",
        "software",
        "version",
        "rejected",
    )
    list_filter = ("online", "service")
    list_select_related = ("service", "user")
    search_fields = ("name", "hostname", "service__name")

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Workers introduce themselves."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody edits them."""
        return False

    @admin.display(boolean=True, description="online")
    def online_now(self, worker: WorkerInstance) -> bool:
        """Whether it called a moment ago."""
        return worker.is_online
