"""Django itself: apps, middleware, templates, files, passwords."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from config import declare

BASE_DIR = Path(__file__).resolve().parent.parent.parent

SECRET_KEY = declare.string(
    "DJANGO_SECRET_KEY", "", "Signs sessions and media links. Long, random, never shared.", secret=True
)
DEBUG = False
ALLOWED_HOSTS = declare.strings(
    "DJANGO_ALLOWED_HOSTS", [], "Host names under which the server may be called."
)
ADMIN_URL = declare.string("DJANGO_ADMIN_URL", "admin/", "Path of the admin site.")
CSRF_TRUSTED_ORIGINS = declare.strings(
    "DJANGO_CSRF_TRUSTED_ORIGINS", [], "Origins (scheme and host) whose forms are accepted."
)
EXTERNAL_BASE_URL = declare.string(
    "EXTERNAL_BASE_URL",
    "",
    "Address under which workers reach this server, for instance https://ami.example.org. "
    "Empty: taken from each request.",
)
BEHIND_TLS_PROXY = declare.boolean(
    "DJANGO_BEHIND_TLS_PROXY", False, "Trust X-Forwarded-Proto of the proxy in front."
)
DATA_DIR = Path(declare.string("AMI_DATA_DIR", str(BASE_DIR / ".ami"), "Folder for uploaded images."))

INSTALLED_APPS = [
    "ami.users",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "rest_framework",
    "knox",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_celery_beat",
    "django_structlog",
    "cachalot",
    "ami.main",
    "ami.ml",
    "ami.jobs",
    "ami.dashboard",
    "config",
]
MIDDLEWARE = [
    "config.health.ProbeMiddleware",
    "config.metrics.requests.RequestMetricsMiddleware",
    "ami.dashboard.views.live.LiveMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "ami.base.api.middleware.SlashlessPostMiddleware",
    "ami.base.api.middleware.ChunkedBodyMiddleware",
    "django.middleware.common.CommonMiddleware",
    "ami.dashboard.short_forms.ShortFormMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_structlog.middlewares.RequestMiddleware",
    "ami.jobs.api.log_context.JobInLogsMiddleware",
]
ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
LANGUAGE_CODE = "en-us"
USE_I18N = False
TIME_ZONE = "UTC"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
APPEND_SLASH = True
STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
MEDIA_URL = "media/"
MEDIA_ROOT = DATA_DIR / "media"
DATA_UPLOAD_MAX_MEMORY_SIZE = (
    1024
    * 1024
    * declare.integer(
        "DJANGO_DATA_UPLOAD_MAX_MEMORY_MB",
        100,
        "Largest request body in MiB, inflated; results of wide category maps need room.",
        minimum=1,
    )
)
WORKER_CALL_MAX_BYTES = 1024 * declare.integer(
    "WORKER_CALL_MAX_KB",
    1024,
    "Largest body in KiB of the worker calls that carry no results, of logins, and of forms without files.",
    minimum=1,
)

AUTH_USER_MODEL = "users.User"
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
# Read from the cache, kept in Postgres: without Redis people stay logged in.
SESSION_ENGINE = "django.contrib.sessions.backends.cached_db"
SESSION_COOKIE_AGE = 14 * 24 * 3600
