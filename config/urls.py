"""Every address of the server."""

from __future__ import annotations

from django.conf import settings
from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path

from ami.main.api.views.files import public_file

urlpatterns: list[URLPattern | URLResolver] = [
    path("", include("ami.dashboard.urls")),
    path(settings.ADMIN_URL, admin.site.urls),
    path("api/v2/", include("config.api")),
    path("media/<path:path>", public_file, name="media"),
]
handler400 = "config.errors.bad_request"
handler403 = "config.errors.forbidden"
handler404 = "config.errors.not_found"
handler500 = "config.errors.server_error"
