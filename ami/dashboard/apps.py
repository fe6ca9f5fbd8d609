"""The app of the pages for people."""

from __future__ import annotations

from django.apps import AppConfig


class DashboardConfig(AppConfig):
    """Pages for people."""

    name = "ami.dashboard"
    verbose_name = "Pages"
