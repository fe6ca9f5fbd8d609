"""Lists in the admin that begin with what they are about, so that an empty one says what to do."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import admin
from django.http import HttpRequest, HttpResponse


class ExplainedAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """The base of such a list."""

    change_list_template = "admin/ml/explained_list.html"
    explanation: ClassVar[str]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The list below its explanation."""
        context = {"explanation": self.explanation} | (extra_context or {})
        return super().changelist_view(request, context)
