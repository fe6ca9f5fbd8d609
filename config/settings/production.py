"""Settings for servers. Secrets and addresses come from the environment; nonsense is refused at start."""

from __future__ import annotations

from ami.base.logs import configure_logging
from config.settings.base import *  # noqa: F403
from config.settings.django import BEHIND_TLS_PROXY
from config.settings.logs import LOG_FORMAT, LOG_LEVEL

LOGGING = configure_logging(LOG_FORMAT, LOG_LEVEL)
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}
SESSION_COOKIE_SECURE = True
CSRF_COOKIE_SECURE = True
SECURE_SSL_REDIRECT = True
SECURE_REDIRECT_EXEMPT = [r"^livez$", r"^readyz$", r"^metrics$"]
SECURE_HSTS_SECONDS = 31_536_000
SECURE_HSTS_INCLUDE_SUBDOMAINS = True
SECURE_HSTS_PRELOAD = True
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if BEHIND_TLS_PROXY else None
