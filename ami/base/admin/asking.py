"""Asking before something that cannot be taken back, and remembering who did what."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from django.contrib.admin import ModelAdmin as DjangoModelAdmin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import Model
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.utils.http import url_has_allowed_host_and_scheme

CONFIRMED = "confirmed"
BACK = "back"
"""Where a form that calls an action from elsewhere wants to return to."""


def is_confirmed(request: HttpRequest) -> bool:
    """Whether the person said yes on the page of `ask`."""
    return request.POST.get(CONFIRMED) == "yes"


def ask(
    model_admin: DjangoModelAdmin[Any],
    request: HttpRequest,
    rows: Sequence[Model],
    *,
    title: str,
    consequences: Iterable[str],
    button: str,
) -> HttpResponse:
    """A page that says what will happen to these rows and sends the action again once it is agreed to.

    It names each row, so that nothing is done to rows which only came to the list meanwhile.
    """
    context = {
        **model_admin.admin_site.each_context(request),
        "title": title,
        "opts": model_admin.model._meta,
        "rows": rows,
        "consequences": list(consequences),
        "button": button,
        "action": _action(request),
        "back": back_to(request),
        "checkbox": ACTION_CHECKBOX_NAME,
    }
    request.current_app = model_admin.admin_site.name
    return TemplateResponse(request, "admin/house/ask.html", context)


def back_to(request: HttpRequest) -> str:
    """The page of this site that the form named to return to; empty if none."""
    wanted = request.POST.get(BACK, "")
    here = url_has_allowed_host_and_scheme(wanted, allowed_hosts={request.get_host()})
    return wanted if wanted and here else ""


def go_back(request: HttpRequest) -> HttpResponse | None:
    """There; None lets the list be shown, as after any action."""
    address = back_to(request)
    return HttpResponseRedirect(address) if address else None


def remember(
    model_admin: DjangoModelAdmin[Any], request: HttpRequest, row: Model, what_was_done: str
) -> None:
    """An entry in the admin's own log, which names who did it."""
    model_admin.log_change(request, row, what_was_done)


def _action(request: HttpRequest) -> str:
    """Which action was asked for. With buttons above and below a list, the one that was pressed counts."""
    actions = request.POST.getlist("action")
    index = request.POST.get("index", "0")
    chosen = int(index) if index.isdigit() else 0
    return actions[chosen] if chosen < len(actions) else next(iter(actions), "")
