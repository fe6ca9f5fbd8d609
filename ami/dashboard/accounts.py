"""Log in with e-mail and password, log out. Sessions are Django's; the admin site shares them."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.auth import views
from django.contrib.auth.forms import AuthenticationForm
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from ami.dashboard.pages import guarded
from ami.users.throttling import seconds_to_wait


class LogInForm(AuthenticationForm):
    """E-mail and password; does not say which half was wrong."""

    error_messages = {
        "invalid_login": "This e-mail and password do not belong together.",
        "inactive": "This account is closed.",
    }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """The name of an account is its e-mail."""
        super().__init__(*args, **kwargs, label_suffix="")
        self.fields["username"].label = "E-mail"
        self.fields["username"].widget = forms.EmailInput(
            attrs={"autocomplete": "username", "autofocus": True, "autocapitalize": "none"}
        )


class LogIn(views.LoginView):
    """The form, slowed down for who guesses passwords: the same count as for log-ins over the API."""

    http_method_names = ["get", "head", "post", "options"]
    template_name = "dashboard/log_in.html"
    authentication_form = LogInForm

    def get_default_redirect_url(self) -> str:
        """Where to go when the address does not say."""
        return reverse("dashboard:projects")

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """With the policy of all pages."""
        return guarded(super().dispatch(request, *args, **kwargs))  # type: ignore[arg-type]

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Count the attempt before anything is looked up."""
        wait = seconds_to_wait(request, request.POST.get("username", ""))
        if wait is None:
            return super().post(request, *args, **kwargs)
        context = self.get_context_data(form=LogInForm(request), wait=wait)
        return self.render_to_response(context, status=429, headers={"Retry-After": str(wait)})


class LogOut(views.LogoutView):
    """POST only: a link or a picture on somebody's page logs nobody out."""

    def get_default_redirect_url(self) -> str:
        """Where to go when the address does not say."""
        return reverse("dashboard:projects")
