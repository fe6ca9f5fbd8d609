"""Run as a program: makes the tables and an administrator in the database that DATABASE_URL names."""

from __future__ import annotations

import django

django.setup()

# The models exist only once Django is set up.
from django.core.management import call_command  # noqa: E402
from django_celery_beat.models import IntervalSchedule  # noqa: E402

from ami.jobs.schedule import sync_schedule  # noqa: E402
from ami.tests.e2e.accounts import ADMIN_EMAIL, PASSWORD  # noqa: E402
from ami.users.models import User  # noqa: E402


def seed() -> None:
    """Health checks run every second, as an operator could have set it in the admin."""
    call_command("migrate", verbosity=0)
    sync_schedule()
    IntervalSchedule.objects.update(every=1, period=IntervalSchedule.SECONDS)
    User.objects.create_superuser(ADMIN_EMAIL, PASSWORD, name="Admin")


if __name__ == "__main__":
    seed()
