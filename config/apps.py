"""The configuration as a Django app, so that `manage.py check` asks it whether it makes sense."""

from __future__ import annotations

from django.apps import AppConfig
from django.core.checks import register

from config.checks import (
    check_chaos,
    check_declared,
    check_deployment,
    check_email,
    check_metrics,
    check_observability,
    check_times,
)


class ConfigConfig(AppConfig):
    """Settings and their checks."""

    name = "config"
    verbose_name = "Configuration"

    def ready(self) -> None:
        """Register the checks, and load the Celery application: without it, tasks find no broker of ours."""
        import config.celery  # noqa: F401, PLC0415 - it reads settings, which are complete only now

        register(check_declared)
        register(check_times)
        register(check_metrics)
        register(check_email)
        register(check_observability)
        register(check_deployment)
        register(check_chaos, deploy=True)
