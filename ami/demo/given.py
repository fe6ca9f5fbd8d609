"""Servers that the environment names: the demo uses them instead of starting its own, if they answer."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from urllib.parse import urlsplit

import psycopg
import structlog
from environ import Env
from redis import Redis

from ami.demo.errors import WrongUse
from ami.embedded.stack import ADDRESSES
from ami.taskqueue import QueueUnavailable, TaskQueueManager, shutdown
from ami.taskqueue.config import QueueConfig

ANSWER_SECONDS = 3
_NO_SUCH_JOB = 0


def given_servers(environ: Mapping[str, str]) -> list[str]:
    """Which of the variables that name servers are set, in a fixed order."""
    return [name for name in ADDRESSES if environ.get(name)]


def check_given(environ: Mapping[str, str]) -> None:
    """Ask every given server for a sign of life. Raises WrongUse for the first that gives none."""
    for name in given_servers(environ):
        try:
            _CHECKS[name](environ[name])
        except Exception as error:  # whatever is wrong with it, the person who named it has to know
            raise WrongUse(
                f"{name} names a server that does not answer ({_where(environ[name])}: {_reason(error)}); "
                f"start it, or unset {name} to have the demo run its own."
            ) from error


def _ask_postgres(url: str) -> None:
    if "postgres" not in Env.DB_SCHEMES.get(urlsplit(url).scheme, ""):
        raise ValueError("the address does not begin with postgresql://")
    known = Env.db_url_config(url)
    parameters = {
        "dbname": known["NAME"],
        "user": known["USER"],
        "password": known["PASSWORD"],
        "host": known["HOST"],
        "port": known["PORT"],
        **known.get("OPTIONS", {}),
        "connect_timeout": ANSWER_SECONDS,
    }
    conninfo = psycopg.conninfo.make_conninfo(**{key: value for key, value in parameters.items() if value})
    with psycopg.connect(conninfo) as connection:
        connection.execute("SELECT 1")


def _ask_redis(url: str) -> None:
    with Redis.from_url(url, socket_timeout=ANSWER_SECONDS, socket_connect_timeout=ANSWER_SECONDS) as redis:
        redis.ping()


def _ask_nats(url: str) -> None:
    try:
        with _without_logs():
            config = QueueConfig(url=url, operation_timeout=ANSWER_SECONDS)
            TaskQueueManager(config).message_count(_NO_SUCH_JOB)
    except QueueUnavailable as error:
        raise TimeoutError(f"no NATS with JetStream within {ANSWER_SECONDS} s") from error
    finally:
        shutdown()


@contextmanager
def _without_logs() -> Iterator[None]:
    """The queue logs what it meets on the way; here that would only repeat the sentence."""
    before = structlog.get_config()["wrapper_class"]
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        yield
    finally:
        structlog.configure(wrapper_class=before)


_CHECKS: Mapping[str, Callable[[str], None]] = {
    "DATABASE_URL": _ask_postgres,
    "REDIS_URL": _ask_redis,
    "CELERY_BROKER_URL": _ask_redis,
    "NATS_URL": _ask_nats,
}


def _where(url: str) -> str:
    """The address without its credentials, be they in front of the host or among the parameters."""
    servers = [server.strip().partition("?")[0].partition("://") for server in url.split(",")]
    return ", ".join((rest if mark else server).rpartition("@")[2] for server, mark, rest in servers)


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split("\n", 1)[0].split())
    return text.rstrip(".") or type(error).__name__
