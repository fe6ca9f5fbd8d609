"""Captures and projects."""

from django.apps import AppConfig


class MainConfig(AppConfig):
    """Captures and projects."""

    name = "ami.main"
    label = "main"
    verbose_name = "Captures and projects"
