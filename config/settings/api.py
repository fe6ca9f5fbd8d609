"""The API: its rate limits, how it parses and answers, its description."""

from __future__ import annotations

from config import declare
from config.settings.django import BEHIND_TLS_PROXY

# Rate limits: calls of one caller on one route in ten seconds.
RATE_LIMIT_API = declare.integer(
    "RATE_LIMIT_API", 500, "Calls of one account on one route in ten seconds.", minimum=1
)
RATE_LIMIT_WORKER = declare.integer(
    "RATE_LIMIT_WORKER",
    2_000,
    "The same for calls of workers: polls, reservations, leases; per worker key or account.",
    minimum=1,
)
RATE_LIMIT_RESULTS = declare.integer(
    "RATE_LIMIT_RESULTS", 4_000, "The same for posted results, so that work is not thrown away.", minimum=1
)
RATE_LIMIT_ANONYMOUS = declare.integer(
    "RATE_LIMIT_ANONYMOUS", 200, "The same for calls without a token, per network address.", minimum=1
)

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["ami.ml.authentication.CallerAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["ami.base.api.permissions.ObjectPermission"],
    "DEFAULT_PARSER_CLASSES": [
        "ami.base.api.json.OrjsonParser",
        "ami.base.api.forms.SmallFormParser",
        "ami.base.api.forms.BoundedMultiPartParser",
    ],
    "DEFAULT_RENDERER_CLASSES": [
        "ami.base.api.json.OrjsonRenderer",
        "ami.base.api.pages.PageRenderer",
    ],
    "DEFAULT_PAGINATION_CLASS": "ami.base.api.pagination.Pagination",
    "DEFAULT_FILTER_BACKENDS": [
        "django_filters.rest_framework.DjangoFilterBackend",
        "ami.base.api.filters.NullsLastOrdering",
        "ami.base.api.filters.BoundedSearch",
    ],
    "DEFAULT_THROTTLE_CLASSES": ["ami.users.rates.RouteRate"],
    "DEFAULT_SCHEMA_CLASS": "ami.base.api.schema.SummarySchema",
    "EXCEPTION_HANDLER": "ami.base.api.exceptions.exception_handler",
    # Times stay times until the renderer writes them: one place says how they look.
    "DATETIME_FORMAT": None,
    # Whose word about the caller's address counts, when logins are throttled.
    "NUM_PROXIES": 1 if BEHIND_TLS_PROXY else 0,
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
REST_KNOX = {"TOKEN_TTL": None, "AUTH_HEADER_PREFIX": "Token", "TOKEN_MODEL": "knox.AuthToken"}
SPECTACULAR_SETTINGS = {
    "TITLE": "AMI",
    "DESCRIPTION": "Runs machine-learning jobs over camera-trap images.",
    "VERSION": "2",
    "SERVE_INCLUDE_SCHEMA": False,
    # The page is served whole from here: labs and field stations may have no way out.
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "SCHEMA_PATH_PREFIX": "/api/v2",
    "COMPONENT_SPLIT_REQUEST": True,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "ENUM_NAME_OVERRIDES": {"JobStateEnum": "ami.jobs.states.JobState"},
}
