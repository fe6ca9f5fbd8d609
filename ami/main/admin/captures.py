"""Projects and captures in the admin."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Count, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from ami.base.admin import ModelAdmin, TabularInline, chosen
from ami.base.errors import InvalidInput
from ami.main.addresses import address_of
from ami.main.capture_sets import check_named, size_of_set, write_members
from ami.main.models import (
    Deployment,
    Device,
    Project,
    ProjectMembership,
    Site,
    SourceImage,
    SourceImageCollection,
    SourceImageUpload,
    Taxon,
)
from ami.main.projects import create_project
from ami.main.sampling.parameters import check_parameters


class MembershipInline(TabularInline):
    """Who is in the project, on its page."""

    model = ProjectMembership
    autocomplete_fields = ("user",)
    extra = 0


@admin.register(Project)
class ProjectAdmin(ModelAdmin):
    """Projects."""

    list_display = ("name", "owner", "active", "draft", "deployments", "created_at")
    list_filter = ("active", "draft", "created_at", chosen("owner"))
    search_fields = ("name", "description")
    list_select_related = ("owner",)
    autocomplete_fields = ("owner", "default_processing_pipeline")
    inlines = (MembershipInline,)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Project]:
        """With the number of stations, counted once."""
        projects: QuerySet[Project] = super().get_queryset(request)
        return projects.annotate(deployments_count=Count("deployments"))

    def get_inlines(self, request: HttpRequest, obj: Project | None) -> Any:
        """Members of a project that exists: a new one begins with its owner."""
        return () if obj is None else super().get_inlines(request, obj)

    @admin.display(ordering="deployments_count")
    def deployments(self, project: Any) -> int:
        """How many stations it has."""
        return int(project.deployments_count)

    def save_model(self, request: HttpRequest, obj: Project, form: Any, change: bool) -> None:
        """A new project gets what every project needs."""
        if change:
            super().save_model(request, obj, form, change)
            return
        made = create_project(**form.cleaned_data)
        obj.pk, obj._state.adding = made.pk, False


@admin.register(ProjectMembership)
class ProjectMembershipAdmin(ModelAdmin):
    """Who is what in which project."""

    list_display = ("user", "project", "role", "created_at")
    list_filter = ("role", chosen("project"), chosen("user"))
    search_fields = ("user__email", "user__name", "project__name")
    list_select_related = ("user", "project")
    autocomplete_fields = ("user", "project")


@admin.register(Device, Site)
class PlaceAdmin(ModelAdmin):
    """Devices and sites."""

    list_display = ("name", "project", "created_at")
    list_filter = (chosen("project"), "created_at")
    search_fields = ("name", "project__name")
    list_select_related = ("project",)
    autocomplete_fields = ("project",)


@admin.register(Deployment)
class DeploymentAdmin(ModelAdmin):
    """Camera stations."""

    list_display = ("name", "project", "device", "research_site", "time_zone", "latitude", "longitude")
    list_filter = (chosen("project"), "time_zone", "created_at")
    search_fields = ("name", "project__name")
    list_select_related = ("project", "device", "research_site")
    autocomplete_fields = ("project", "device", "research_site", "data_source")


@admin.register(SourceImage)
class SourceImageAdmin(ModelAdmin):
    """Captures. There can be millions: no count of all of them, and foreign keys by number."""

    list_display = ("id", "path", "project", "deployment", "timestamp", "size")
    list_filter = (chosen("project"), chosen("deployment"), "test_image", "timestamp")
    search_fields = ("=id", "path")
    search_help_text = "The number of a capture, or a part of its path."
    ordering = ("-pk",)
    sortable_by = ("id",)
    list_select_related = ("project", "deployment")
    raw_id_fields = ("project", "deployment", "event", "data_source")
    readonly_fields = ("link", "checksum", "created_at", "updated_at")

    @admin.display(description="image")
    def link(self, capture: SourceImage) -> SafeString | str:
        """The picture."""
        url = address_of(capture, "") if capture.pk else None
        return format_html('<a href="{}">{}</a>', url, capture.path) if url else "none"


class CaptureSetForm(forms.ModelForm):  # type: ignore[type-arg]
    """Parameters that fit the method."""

    class Meta:
        model = SourceImageCollection
        fields = ("project", "name", "description", "method", "kwargs")

    def clean(self) -> dict[str, Any]:
        """Raise what the service would."""
        cleaned: dict[str, Any] = super().clean() or {}
        try:
            parameters = check_parameters(cleaned.get("method", ""), cleaned.get("kwargs") or {})
            if project := cleaned.get("project"):
                check_named(project.pk, parameters)
        except InvalidInput as error:
            raise forms.ValidationError(error.message) from error
        return cleaned


@admin.register(SourceImageCollection)
class SourceImageCollectionAdmin(ModelAdmin):
    """Capture sets."""

    form = CaptureSetForm
    list_display = ("name", "project", "method", "captures", "created_at")
    list_filter = (chosen("project"), "method", "created_at")
    search_fields = ("name", "project__name")
    list_select_related = ("project",)
    autocomplete_fields = ("project",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[SourceImageCollection]:
        """With the number of captures, counted once."""
        sets: QuerySet[SourceImageCollection] = super().get_queryset(request)
        return sets.annotate(images_count=size_of_set())

    @admin.display(ordering="images_count")
    def captures(self, capture_set: Any) -> int:
        """How many captures it has."""
        return int(capture_set.images_count)

    def save_model(self, request: HttpRequest, obj: SourceImageCollection, form: Any, change: bool) -> None:
        """The set holds what its parameters say, if they were set or changed here."""
        super().save_model(request, obj, form, change)
        if {"method", "kwargs"} & set(form.changed_data):
            write_members(obj)


@admin.register(SourceImageUpload)
class SourceImageUploadAdmin(ModelAdmin):
    """Uploads."""

    list_display = ("image", "deployment", "user", "source_image", "created_at")
    list_filter = (chosen("deployment"), chosen("user"), "created_at")
    search_fields = ("image", "user__email")
    list_select_related = ("deployment", "user", "source_image")
    raw_id_fields = ("deployment", "user", "source_image")


@admin.register(Taxon)
class TaxonAdmin(ModelAdmin):
    """Taxa."""

    list_display = ("name", "rank", "parent", "gbif_key", "active")
    list_filter = ("rank", "active")
    search_fields = ("name",)
    list_select_related = ("parent",)
    autocomplete_fields = ("parent",)
