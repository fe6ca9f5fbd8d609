"""What buttons do: POST only, with the token of the form, by somebody who is logged in."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec

from django.contrib import messages
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_POST

from ami.base.errors import AmiError
from ami.dashboard.pages import answering, guarded

P = ParamSpec("P")


def action(
    view: Callable[Concatenate[HttpRequest, P], HttpResponse],
) -> Callable[Concatenate[HttpRequest, P], HttpResponse]:
    """Mark a view as one that changes something: POST only, for people with an account."""

    @wraps(view)
    def wrapped(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        if not request.user.is_authenticated:
            return redirect_to_login(reverse("dashboard:overview"), reverse("dashboard:login"))
        return guarded(view(request, *args, **kwargs))

    return answering("POST", view=require_POST(wrapped))


def carry_out(request: HttpRequest, what: Callable[[], str], back: str) -> HttpResponse:
    """Do it, and go back to where the button was with a sentence: what `what` says, or why it refused."""
    try:
        said = what()
    except AmiError as error:
        messages.error(request, error.message)
    else:
        messages.success(request, said)
    return HttpResponseRedirect(back)
