"""Tokens of accounts in the admin. Knox shows a new one once and keeps its hash."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from knox.admin import AuthTokenAdmin as KnoxTokenAdmin
from knox.models import AuthToken

from ami.base.admin import ModelAdmin

admin.site.unregister(AuthToken)


@admin.register(AuthToken)
class AuthTokenAdmin(KnoxTokenAdmin, ModelAdmin):
    """Tokens: made and deleted here, never changed."""

    list_display = ("begins_with", "user", "created", "expiry")
    list_filter = ("created", "expiry")
    list_select_related = ("user",)
    search_fields = ("token_key", "user__email", "user__name")
    search_help_text = "How the token begins, or the name or e-mail address of its account."
    ordering = ("-created",)
    fields = None
    raw_id_fields = ("user",)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """What one says of a new token, and what is known of an old one."""
        return ("user", "expiry") if obj is None else ("begins_with", "user", "created", "expiry")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """Everything, once it is made."""
        return () if obj is None else self.get_fields(request, obj)

    @admin.display(description="token", ordering="token_key")
    def begins_with(self, token: AuthToken) -> str:
        """Its beginning; the rest is known to nobody here."""
        return f"{token.token_key}…"
