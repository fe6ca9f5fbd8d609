"""The bases of all lists and pages of the admin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django.db.models import Model
from django.http import HttpRequest

from ami.base.admin.pages import BoundedPaginator

if TYPE_CHECKING:  # what django-unfold adds is untyped; what ours use of it is Django's
    from django.contrib import admin

    _ModelAdmin = admin.ModelAdmin[Any]
    _TabularInline = admin.TabularInline[Any, Any]
else:
    from unfold.admin import ModelAdmin as _ModelAdmin
    from unfold.admin import TabularInline as _TabularInline


class ModelAdmin(_ModelAdmin):
    """A list and its pages. No list is counted to its end; forms say so before what was typed is lost.

    `explanation` stands above the list, so that an empty one says what to do.
    """

    explanation: ClassVar[str] = ""
    list_before_template = "admin/house/explanation.html"

    paginator = BoundedPaginator
    show_full_result_count = False
    list_fullwidth = True
    list_filter_submit = True
    warn_unsaved_form = True


class TabularInline(_TabularInline):
    """Rows on the page of what they belong to."""


class ReadOnlyAdmin(ModelAdmin):
    """Rows that the platform alone writes."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nobody."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Nobody."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Nobody: they go with what they belong to."""
        return False
