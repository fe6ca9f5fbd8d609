"""The ASGI application, for servers that prefer it; the worker endpoints are faster under WSGI threads."""

import os

from config.checks import refuse_nonsense
from config.metrics.start import share_counters
from config.observability import start
from config.requests import asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.production")
start("web")
application = asgi_application()
share_counters("web", first=False)
refuse_nonsense()
