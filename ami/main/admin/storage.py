"""Places where captures lie, and the sessions that captures make, in the admin."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest

from ami.base.admin import ModelAdmin, chosen
from ami.base.errors import AmiError
from ami.main.models import Event, StorageSource
from ami.main.models.storage import StorageKind
from ami.main.storage.folders import allowed_folder
from ami.main.storage.secrets import seal
from ami.main.storage.sources import check_bucket, check_endpoint


class StorageForm(forms.ModelForm):  # type: ignore[type-arg]
    """A place that can be read. Keys go in, and never come out."""

    new_access_key = forms.CharField(
        required=False, widget=forms.PasswordInput(), help_text="Empty: as it is."
    )
    new_secret_key = forms.CharField(
        required=False, widget=forms.PasswordInput(), help_text="Empty: as it is."
    )

    class Meta:
        model = StorageSource
        fields = (
            "project",
            "name",
            "kind",
            "bucket",
            "prefix",
            "region",
            "endpoint_url",
            "public_base_url",
            "folder",
        )

    def clean(self) -> dict[str, Any]:
        """Raise what the API would."""
        cleaned: dict[str, Any] = super().clean() or {}
        try:
            cleaned["endpoint_url"] = check_endpoint(cleaned.get("endpoint_url", ""))
            if cleaned.get("kind") == StorageKind.FOLDER:
                allowed_folder(cleaned.get("folder", ""))
            else:
                check_bucket(cleaned.get("bucket", ""))
        except AmiError as error:
            raise forms.ValidationError(error.message) from error
        if bool(cleaned.get("new_access_key")) != bool(cleaned.get("new_secret_key")):
            raise forms.ValidationError("Give both keys, or none.")
        return cleaned


@admin.register(StorageSource)
class StorageSourceAdmin(ModelAdmin):
    """Places where captures lie."""

    form = StorageForm
    list_display = ("name", "project", "kind", "place", "has_keys", "created_at")
    list_filter = (chosen("project"), "kind", "created_at")
    search_fields = ("name", "bucket", "project__name")
    list_select_related = ("project",)
    autocomplete_fields = ("project",)

    @admin.display
    def place(self, source: StorageSource) -> str:
        """Where it is."""
        return source.uri()

    @admin.display(boolean=True)
    def has_keys(self, source: StorageSource) -> bool:
        """Whether keys are kept for it."""
        return source.has_keys

    def save_model(self, request: HttpRequest, obj: StorageSource, form: Any, change: bool) -> None:
        """Seal new keys."""
        if form.cleaned_data.get("new_access_key"):
            obj.access_key = seal(form.cleaned_data["new_access_key"])
            obj.secret_key = seal(form.cleaned_data["new_secret_key"])
        super().save_model(request, obj, form, change)


@admin.register(Event)
class EventAdmin(ModelAdmin):
    """Sessions: jobs make them."""

    list_display = ("id", "date_label", "deployment", "start", "end")
    list_filter = (chosen("deployment"), "start")
    list_select_related = ("deployment",)
    search_fields = ("=id", "deployment__name", "deployment__project__name")
    search_help_text = "The number of a session, its deployment, or its project."
    readonly_fields = ("deployment", "start", "end", "created_at", "updated_at")

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nobody: they follow from the times of captures."""
        return False
