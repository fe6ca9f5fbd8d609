"""Settings for one machine: the demo and development."""

from __future__ import annotations

from ami.base.logs import configure_logging
from config.declare import is_given
from config.settings.base import *  # noqa: F403
from config.settings.django import SECRET_KEY
from config.settings.logs import LOG_FORMAT, LOG_LEVEL
from config.settings.media import OUTGOING_ALLOWED_NETWORKS

SECRET_KEY = SECRET_KEY or "local-only-and-therefore-not-secret"
ALLOWED_HOSTS = ["*"]
DEBUG = True
OUTGOING_ALLOWED_NETWORKS = [*OUTGOING_ALLOWED_NETWORKS, "127.0.0.0/8", "::1/128"]
LOG_FORMAT = LOG_FORMAT if is_given("LOG_FORMAT") else "console"
LOGGING = configure_logging(LOG_FORMAT, LOG_LEVEL)
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
