"""Settings that every environment shares. Each of ours is declared here once, typed, with a default."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

from environ import Env

from config import declare

BASE_DIR = Path(__file__).resolve().parent.parent.parent

# --- Django -------------------------------------------------------------------------------------------------

SECRET_KEY = declare.string(
    "DJANGO_SECRET_KEY", "", "Signs sessions and media links. Long, random, never shared.", secret=True
)
DEBUG = False
ALLOWED_HOSTS = declare.strings(
    "DJANGO_ALLOWED_HOSTS", [], "Host names under which the server may be called."
)
ADMIN_URL = declare.string("DJANGO_ADMIN_URL", "admin/", "Path of the admin site.")
CSRF_TRUSTED_ORIGINS = declare.strings(
    "DJANGO_CSRF_TRUSTED_ORIGINS", [], "Origins (scheme and host) whose forms are accepted."
)
EXTERNAL_BASE_URL = declare.string(
    "EXTERNAL_BASE_URL",
    "",
    "Address under which workers reach this server, for instance https://ami.example.org. "
    "Empty: taken from each request.",
)
BEHIND_TLS_PROXY = declare.boolean(
    "DJANGO_BEHIND_TLS_PROXY", False, "Trust X-Forwarded-Proto of the proxy in front."
)
DATA_DIR = Path(declare.string("AMI_DATA_DIR", str(BASE_DIR / ".ami"), "Folder for uploaded images."))

INSTALLED_APPS = [
    "ami.users",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "rest_framework",
    "knox",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_celery_beat",
    "django_structlog",
    "cachalot",
    "ami.main",
    "ami.ml",
    "ami.jobs",
    "config",
]
MIDDLEWARE = [
    "config.health.ProbeMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "ami.base.api.middleware.SlashlessPostMiddleware",
    "ami.base.api.middleware.ChunkedBodyMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_structlog.middlewares.RequestMiddleware",
]
ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
LANGUAGE_CODE = "en-us"
USE_I18N = False
TIME_ZONE = "UTC"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
APPEND_SLASH = True
STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
MEDIA_URL = "media/"
MEDIA_ROOT = DATA_DIR / "media"
DATA_UPLOAD_MAX_MEMORY_SIZE = (
    1024
    * 1024
    * declare.integer(
        "DJANGO_DATA_UPLOAD_MAX_MEMORY_MB",
        100,
        "Largest request body in MiB, inflated; results of wide category maps need room.",
        minimum=1,
    )
)
WORKER_CALL_MAX_BYTES = 1024 * declare.integer(
    "WORKER_CALL_MAX_KB",
    1024,
    "Largest body in KiB of the worker calls that carry no results, of logins, and of forms without files.",
    minimum=1,
)

AUTH_USER_MODEL = "users.User"
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]

# --- Servers ------------------------------------------------------------------------------------------------

DATABASE_URL = declare.string(
    "DATABASE_URL", "postgresql://localhost/ami", "Postgres: the truth.", secret=True
)
REDIS_URL = declare.string(
    "REDIS_URL",
    "redis://localhost:6379/0",
    "Redis for pending sets; maxmemory-policy noeviction.",
    secret=True,
)
CACHE_URL = declare.string(
    "CACHE_URL", "", "Redis for the cache, may evict. Empty: database 2 of REDIS_URL's server.", secret=True
)
NATS_URL = declare.string("NATS_URL", "nats://localhost:4222", "NATS with JetStream.", secret=True)

CONN_MAX_AGE = declare.integer(
    "CONN_MAX_AGE",
    60,
    "Seconds a database connection is kept between requests; plays no part with a pool.",
    minimum=0,
)
DB_STATEMENT_TIMEOUT_MS = declare.integer(
    "DB_STATEMENT_TIMEOUT_MS",
    60_000,
    "Milliseconds after which Postgres gives up on a statement.",
    minimum=1000,
)
DB_POOL_MAX = declare.integer(
    "DB_POOL_MAX",
    0,
    "Database connections that the threads of one process share; 0: one per thread. "
    "The web server sets 12, for it has many threads that mostly wait.",
    minimum=0,
)
_database = dict(Env.db_url_config(DATABASE_URL))
_pool: dict[str, Any] = (
    {"pool": {"min_size": 1, "max_size": DB_POOL_MAX, "timeout": 5}} if DB_POOL_MAX else {}
)
DATABASES: dict[str, dict[str, Any]] = {
    "default": {
        **_database,
        "ENGINE": "django.db.backends.postgresql",
        "ATOMIC_REQUESTS": False,
        "CONN_MAX_AGE": 0 if DB_POOL_MAX else CONN_MAX_AGE,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {
            **_database.get("OPTIONS", {}),
            **_pool,
            "connect_timeout": 5,
            "options": "-c lock_timeout=15s -c idle_in_transaction_session_timeout=60s "
            f"-c statement_timeout={DB_STATEMENT_TIMEOUT_MS}",
        },
    }
}


def _redis_database(url: str, number: int) -> str:
    """The same server, another database number."""
    head, _, tail = url.rpartition("/")
    return f"{head}/{number}" if tail.isdigit() else f"{url.rstrip('/')}/{number}"


CACHES: dict[str, dict[str, Any]] = {
    "default": {
        "BACKEND": "ami.base.cache.TolerantRedisCache",
        "LOCATION": CACHE_URL or _redis_database(REDIS_URL, 2),
        "OPTIONS": {"socket_timeout": 0.5, "socket_connect_timeout": 0.5},
    }
}

# Reads of slow-changing tables only: on the write path it cost more than it saved.
CACHALOT_ENABLED = declare.boolean("CACHALOT_ENABLED", True, "Cache reads of slow-changing tables of `main`.")
CACHALOT_ONLY_CACHABLE_TABLES = frozenset({"main_project", "main_deployment", "main_device", "main_site"})
CACHALOT_TIMEOUT = 300
# Our raw SQL never writes these tables, and parsing every statement to find out is not free.
CACHALOT_INVALIDATE_RAW = False
# It does not know our cache class by name; that class is Django's Redis cache with misses for errors.
SILENCED_SYSTEM_CHECKS = ["cachalot.W001"]

# --- The queue layer ----------------------------------------------------------------------------------------

NATS_OPERATION_TIMEOUT = declare.decimal(
    "NATS_OPERATION_TIMEOUT",
    1.0,
    "Seconds that one queue call may take, connecting included.",
    minimum=0.05,
    maximum=10,
)
NATS_TASK_TTR = declare.decimal(
    "NATS_TASK_TTR",
    300.0,
    "Seconds that a worker holds a reserved image before another may get it (the lease).",
    minimum=0.5,
)
NATS_MAX_DELIVER = declare.integer(
    "NATS_MAX_DELIVER", 3, "Attempts that an image gets before it is failed.", minimum=1, maximum=100
)
NATS_MAX_ACK_PENDING = declare.integer(
    "NATS_MAX_ACK_PENDING", 10_000, "Images of one job that may be out with workers at once.", minimum=1
)
NATS_REPLICAS = declare.integer(
    "NATS_REPLICAS", 1, "Copies of each stream in a NATS cluster.", minimum=1, maximum=5
)
NATS_PUBLISH_WINDOW = declare.integer(
    "NATS_PUBLISH_WINDOW", 2_000, "Messages published before waiting for confirmations.", minimum=1
)
LEASE_KEYS = declare.strings(
    "LEASE_KEYS",
    [],
    "Keys that sign lease tokens: the first signs, all verify. Empty: derived from DJANGO_SECRET_KEY.",
    secret=True,
)

# --- Jobs ---------------------------------------------------------------------------------------------------

DISPATCH_WINDOW = declare.integer(
    "DISPATCH_WINDOW", 50_000, "Messages of one job that stand in NATS at most.", minimum=100
)
DISPATCH_SLICE_SECONDS = declare.decimal(
    "DISPATCH_SLICE_SECONDS", 60.0, "Longest slice of collecting and publishing.", minimum=1, maximum=100
)
COLLECT_CHUNK = declare.integer(
    "COLLECT_CHUNK", 50_000, "Captures collected in one transaction.", minimum=100
)
CLAIM_SECONDS = declare.decimal(
    "CLAIM_SECONDS", 60.0, "Seconds that a claim on a dispatch or an inbox row holds.", minimum=1
)
INBOX_RETRY_SECONDS = declare.decimal(
    "INBOX_RETRY_SECONDS", 10.0, "Age at which the inbox check enqueues an unsaved row again.", minimum=0
)
INBOX_MAX_TRIES = declare.integer(
    "INBOX_MAX_TRIES", 5, "Tries after which an item that cannot be saved is failed.", minimum=1
)
INBOX_ROW_MAX_BYTES = declare.integer(
    "INBOX_ROW_MAX_BYTES", 4_000_000, "A post larger than this becomes several inbox rows.", minimum=100_000
)
PROGRESS_INTERVAL_SECONDS = declare.decimal(
    "PROGRESS_INTERVAL_SECONDS", 1.0, "Progress of a job is projected at most this often.", minimum=0
)
FAILURE_THRESHOLD = declare.decimal(
    "FAILURE_THRESHOLD",
    0.5,
    "A job fails when more than this share of its images failed.",
    minimum=0,
    maximum=1,
)
RETRY_BACKOFF_SECONDS = declare.decimal(
    "RETRY_BACKOFF_SECONDS",
    5.0,
    "Pause before an image that a worker failed is handed out again; doubles with each attempt.",
    minimum=0,
)
RESERVE_MAX_BATCH = declare.integer(
    "RESERVE_MAX_BATCH", 500, "Most images that one reserve call hands out.", minimum=1, maximum=10_000
)
LONG_POLL_MAX_SECONDS = declare.decimal(
    "LONG_POLL_MAX_SECONDS", 30.0, "Longest wait that a worker may ask for.", minimum=0, maximum=50
)
LONG_POLL_MAX_WAITERS = declare.integer(
    "LONG_POLL_MAX_WAITERS",
    100,
    "Calls that may wait for tasks at once in one web process; more are answered without waiting. "
    "The web server sets three quarters of WEB_THREADS.",
    minimum=0,
)
SUGGESTED_BATCH_SIZE = declare.integer(
    "SUGGESTED_BATCH_SIZE", 16, "Images that a worker without an opinion is told to take at once.", minimum=1
)
WORKER_MAX_LEASES = declare.integer(
    "WORKER_MAX_LEASES", 2_000, "Most images that one worker may hold at once.", minimum=1
)
HOLDER_MAX_LEASES = declare.integer(
    "HOLDER_MAX_LEASES",
    10_000,
    "Most images that all workers of one service, or of one user's tokens, may hold at once.",
    minimum=1,
)
RESULT_MAX_ITEMS = declare.integer("RESULT_MAX_ITEMS", 2_000, "Most results in one post.", minimum=1)
RESULT_MAX_DETECTIONS = declare.integer(
    "RESULT_MAX_DETECTIONS", 10_000, "Most detections in the result of one image.", minimum=1
)
LARGE_POST_BYTES = (
    1024
    * 1024
    * declare.integer(
        "LARGE_POST_MB", 8, "Result posts above so many MiB, inflated, are taken a few at a time.", minimum=1
    )
)
LARGE_POSTS_AT_ONCE = declare.integer(
    "LARGE_POSTS_AT_ONCE",
    2,
    "Large result posts that one web process takes at once; each needs twice its size in memory.",
    minimum=1,
)
JOB_LOG_PERSIST_ENABLED = declare.boolean(
    "JOB_LOG_PERSIST_ENABLED", True, "Keep job log lines as rows that people read; off: structured log only."
)
MEDIA_LINK_SECONDS = declare.integer(
    "MEDIA_LINK_SECONDS",
    86_400,
    "Seconds that a signed link to a local image works; must outlive every lease.",
    minimum=60,
)
IMPORT_MAX_PIXELS = declare.integer(
    "IMPORT_MAX_PIXELS", 250_000_000, "Largest image, in pixels, that upload and import accept.", minimum=1
)

OUTGOING_ALLOWED_NETWORKS = declare.networks(
    "OUTGOING_ALLOWED_NETWORKS",
    [],
    "Networks (CIDR) that are not public and that the server may call all the same, for instance "
    "10.1.0.0/16 where push services of the lab live. Everybody who may register a service reaches them.",
)

# --- Rate limits: calls of one caller on one route in ten seconds -------------------------------------------

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

# --- API ----------------------------------------------------------------------------------------------------

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
        "rest_framework.renderers.BrowsableAPIRenderer",
    ],
    "DEFAULT_PAGINATION_CLASS": "ami.base.api.pagination.Pagination",
    "DEFAULT_FILTER_BACKENDS": [
        "django_filters.rest_framework.DjangoFilterBackend",
        "ami.base.api.filters.NullsLastOrdering",
        "ami.base.api.filters.BoundedSearch",
    ],
    "DEFAULT_THROTTLE_CLASSES": ["ami.users.rates.RouteRate"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
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

# --- Celery -------------------------------------------------------------------------------------------------

CELERY_BROKER_URL = declare.string(
    "CELERY_BROKER_URL",
    _redis_database(REDIS_URL, 1),
    "Broker of our own background work; noeviction.",
    secret=True,
)
CELERY_TASK_DEFAULT_QUEUE = "default"
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_TASK_SOFT_TIME_LIMIT = 110
CELERY_TASK_TIME_LIMIT = 120
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": declare.integer(
        "CELERY_VISIBILITY_TIMEOUT",
        300,
        "Seconds after which the broker hands a dead worker's task to another; above the longest task.",
        minimum=5,
    ),
    "socket_timeout": 5,
    "socket_connect_timeout": 1,
    # Enqueueing is best effort everywhere (a health check repeats it), so a dead broker must cost little.
    "max_retries": 0,
}
CELERY_TASK_PUBLISH_RETRY = False
CELERY_BEAT_SCHEDULER = "django_celery_beat.schedulers:DatabaseScheduler"
CELERY_DB_REUSE_MAX = 1_000
CELERY_TIMEZONE = "UTC"

# --- Logs ---------------------------------------------------------------------------------------------------

LOG_FORMAT = declare.string(
    "LOG_FORMAT",
    "json",
    "How log lines look: json for machines, console for people.",
    choices=["json", "console"],
)
LOG_LEVEL = declare.string(
    "LOG_LEVEL", "INFO", "Lowest level that is written.", choices=["DEBUG", "INFO", "WARNING", "ERROR"]
)
DJANGO_STRUCTLOG_CELERY_ENABLED = True

SESSION_COOKIE_AGE = int(timedelta(days=14).total_seconds())
