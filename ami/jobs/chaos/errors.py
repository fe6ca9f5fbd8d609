"""Why the chaos monkey did not do something."""

from __future__ import annotations

from django.conf import settings

from ami.base.errors import AmiError


class ChaosRefused(AmiError):
    """The chaos monkey does not do this."""

    code = "chaos_refused"


def check_enabled() -> None:
    """Raise ChaosRefused unless the settings allow to break things here."""
    if not settings.CHAOS_ENABLED:
        raise ChaosRefused(
            "The chaos monkey is switched off here, because it breaks things on purpose. Where nobody's work "
            "is at stake, set CHAOS_ENABLED=true in the environment of this command."
        )
