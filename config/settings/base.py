"""Settings that every environment shares. Each of ours is declared once, typed, with a default."""

from __future__ import annotations

from config.settings.api import *  # noqa: F403
from config.settings.celery import *  # noqa: F403
from config.settings.django import *  # noqa: F403
from config.settings.jobs import *  # noqa: F403
from config.settings.logs import *  # noqa: F403
from config.settings.media import *  # noqa: F403
from config.settings.metrics import *  # noqa: F403
from config.settings.notifications import *  # noqa: F403
from config.settings.observability import *  # noqa: F403
from config.settings.queue import *  # noqa: F403
from config.settings.servers import *  # noqa: F403
