"""The WSGI application that gunicorn serves."""

import os

from config.checks import refuse_nonsense
from config.requests import wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.production")
application = wsgi_application()
refuse_nonsense()
