"""Algorithms and predictions."""

from django.apps import AppConfig


class MlConfig(AppConfig):
    """Algorithms and predictions."""

    name = "ami.ml"
    label = "ml"
    verbose_name = "Algorithms and predictions"
