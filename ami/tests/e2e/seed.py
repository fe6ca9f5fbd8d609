"""Run as a program: fills the database that DATABASE_URL names and prints the administrator's token."""

from __future__ import annotations

import django

django.setup()

# The models exist only once Django is set up.
from django.core.management import call_command  # noqa: E402
from django_celery_beat.models import IntervalSchedule  # noqa: E402
from knox.models import AuthToken  # noqa: E402

from ami.jobs.schedule import sync_schedule  # noqa: E402
from ami.users.models import User  # noqa: E402

ADMIN_EMAIL = "admin@e2e.example"
ADMIN_PASSWORD = "not a secret: this database lives for seconds"


def seed() -> str:
    """Make the tables and an account; health checks run every second, as an operator could have set it."""
    call_command("migrate", verbosity=0)
    sync_schedule()
    IntervalSchedule.objects.update(every=1, period=IntervalSchedule.SECONDS)
    admin = User.objects.create_superuser(ADMIN_EMAIL, ADMIN_PASSWORD, name="Admin")
    _, token = AuthToken.objects.create(user=admin)
    return str(token)


if __name__ == "__main__":
    print(seed())
