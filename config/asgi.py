"""The ASGI application, for servers that prefer it; the worker endpoints are faster under WSGI threads."""

import os

from django.core.asgi import get_asgi_application

from config.checks import refuse_nonsense

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.production")
application = get_asgi_application()
refuse_nonsense()
