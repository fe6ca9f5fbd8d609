"""The bases of all lists and pages of the admin."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar

from django.contrib.admin import ShowFacets
from django.db.models import Model
from django.http import HttpRequest, HttpResponse

from ami.base.admin.buttons import Button
from ami.base.admin.deleting import forecast
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
    change_form_outer_before_template = "admin/house/buttons.html"

    paginator = BoundedPaginator
    show_full_result_count = False
    list_fullwidth = True
    list_filter_submit = True
    show_facets = ShowFacets.NEVER

    def buttons(self, request: HttpRequest, row: Any) -> Iterable[Button]:
        """Actions of the list for the page of a row; those that a person may not take are left out."""
        return ()

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **options: Any
    ) -> HttpResponse:
        """The page, with its buttons."""
        row = options.get("obj")
        if row is not None:
            may = self.get_actions(request)
            context["buttons"] = [one for one in self.buttons(request, row) if one.action in may]
        return super().render_change_form(request, context, *args, **options)

    warn_unsaved_form = True

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """What a deletion takes along, counted by kind."""
        return forecast(list(objs), request)


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
