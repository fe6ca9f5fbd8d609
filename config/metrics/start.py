"""How a process begins to share its counters; a folder that cannot be written costs figures only."""

from __future__ import annotations

import structlog
from django.conf import settings

from ami.base.metrics.sharing import share, start_over

logger = structlog.get_logger(__name__)


def share_counters(role: str, *, first: bool = True) -> None:
    """Share through METRICS_DIR, if there is one; `first`: what an earlier start left is removed before."""
    if not settings.METRICS_DIR:
        return
    try:
        if first:
            start_over(settings.METRICS_DIR, role)
        share(settings.METRICS_DIR, role)
    except OSError as error:
        logger.error("metrics.not_shared", directory=settings.METRICS_DIR, error=str(error))  # noqa: TRY400
