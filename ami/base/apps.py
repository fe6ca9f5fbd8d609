"""What all parts share: its templates and style sheet of the admin."""

from django.apps import AppConfig


class BaseConfig(AppConfig):
    """No models of its own."""

    name = "ami.base"
    label = "base"
    verbose_name = "Shared"
