"""The ASGI application, for servers that prefer it; the worker endpoints are faster under WSGI threads."""

import os

from config.checks import refuse_nonsense
from config.requests import asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.production")
application = asgi_application()
refuse_nonsense()
