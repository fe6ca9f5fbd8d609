"""Settings for the test suite: short times and real servers, which `ami.embedded.pytest_plugin` starts."""

from __future__ import annotations

from ami.base.logs import configure_logging
from config.settings.base import *  # noqa: F403
from config.settings.servers import DATABASES

SECRET_KEY = "for-tests-only-" + "x" * 40
ALLOWED_HOSTS = ["*"]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
LOGGING = configure_logging("console", "WARNING")
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
WHITENOISE_AUTOREFRESH = True
CONN_MAX_AGE = 0
DATABASES["default"]["CONN_MAX_AGE"] = 0
NATS_TASK_TTR = 2.0
RETRY_BACKOFF_SECONDS = 0.2
