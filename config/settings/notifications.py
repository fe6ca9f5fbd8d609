"""Telling people that a job ended: e-mail and webhooks."""

from __future__ import annotations

from django.core.exceptions import ImproperlyConfigured
from environ import Env

from config import declare

EMAIL_URL = declare.string(
    "EMAIL_URL",
    "",
    "Mail server, for instance smtp+tls://user:password@mail.example.org:587. Empty: this server sends no "
    "e-mail, and jobs cannot ask for it.",
    secret=True,
)
DEFAULT_FROM_EMAIL = declare.string(
    "DEFAULT_FROM_EMAIL", "AMI <ami@localhost>", "Sender of the e-mails that this server writes."
)
EMAIL_TIMEOUT = 10
NOTIFICATION_MAX_TRIES = declare.integer(
    "NOTIFICATION_MAX_TRIES",
    10,
    "Tries to tell a webhook or a mail server that a job ended; the pause doubles from 30 s to an hour, so "
    "ten take some four hours.",
    minimum=1,
    maximum=100,
)
try:
    _mail = dict(Env.email_url_config(EMAIL_URL)) if EMAIL_URL else {}
except ImproperlyConfigured:  # `check_email` says so
    _mail = {}
EMAIL_ENABLED = bool(_mail)
EMAIL_BACKEND = _mail.get("EMAIL_BACKEND", "django.core.mail.backends.dummy.EmailBackend")
EMAIL_HOST = _mail.get("EMAIL_HOST") or "localhost"
EMAIL_PORT = _mail.get("EMAIL_PORT") or 25
EMAIL_HOST_USER = _mail.get("EMAIL_HOST_USER") or ""
EMAIL_HOST_PASSWORD = _mail.get("EMAIL_HOST_PASSWORD") or ""
EMAIL_USE_TLS = bool(_mail.get("EMAIL_USE_TLS"))
EMAIL_USE_SSL = bool(_mail.get("EMAIL_USE_SSL"))
