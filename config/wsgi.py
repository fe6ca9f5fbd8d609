"""The WSGI application that gunicorn serves."""

import os

from config.checks import refuse_nonsense
from config.metrics.start import share_counters
from config.observability import start
from config.requests import wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.production")
start("web")
application = wsgi_application()
share_counters("web", first=False)
refuse_nonsense()
