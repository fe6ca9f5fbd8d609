"""Tells what is due, a few at a time, and writes down what became of it.

A claim is a time in the future in `next_try_at`: who dies with it is followed by the next run. So everything
is told at least once, and a repetition carries the same id. A slow address keeps no other waiting for long.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextvars import Context, copy_context
from datetime import timedelta
from uuid import UUID

import structlog
from django.conf import settings
from django.db import connection
from structlog.contextvars import bound_contextvars

from ami.base import clock
from ami.base.database import rows
from ami.base.failpoints import hit
from ami.base.metrics.counted import NOTIFIED
from ami.jobs import logs
from ami.jobs.models import Notification
from ami.jobs.models.notification import NotificationState, NotificationWay
from ami.jobs.notifying.payload import payload_of
from ami.jobs.notifying.ways import NotTold, call_webhook, send_email

logger = structlog.get_logger(__name__)

AT_ONCE = 8
CLAIM_SECONDS = 60.0
SLICE_SECONDS = 40.0
FIRST_PAUSE_SECONDS = 30.0
LONGEST_PAUSE_SECONDS = 3_600.0
KEPT_DAYS = 30

_CLAIM = """UPDATE jobs_notification SET tries = tries + 1,
    next_try_at = clock_timestamp() + make_interval(secs => %s)
WHERE id IN (SELECT id FROM jobs_notification WHERE state = 'waiting' AND next_try_at <= clock_timestamp()
    ORDER BY next_try_at LIMIT %s FOR UPDATE SKIP LOCKED)
RETURNING id"""


def deliver_due() -> int:
    """Tell everything that is due, for `SLICE_SECONDS` at most; returns how many tries there were.

    Safe to run twice and side by side.
    """
    until, tried = time.monotonic() + SLICE_SECONDS, 0
    while time.monotonic() < until and (claimed := _claim()):
        tried += len(claimed)
        hit("notify.claimed")
        with ThreadPoolExecutor(max_workers=AT_ONCE, thread_name_prefix="notify") as pool:
            list(pool.map(_in_thread, claimed, [copy_context() for _ in claimed]))
    _forget_old()
    return tried


def _claim() -> list[UUID]:
    return [row[0] for row in rows(_CLAIM, [CLAIM_SECONDS, AT_ONCE])]


def _in_thread(key: UUID, context: Context) -> None:
    try:
        context.run(deliver, key)
    except Exception as error:  # one that breaks something keeps no other waiting; its claim runs out
        logger.exception("notification.broken", notification_id=str(key))
        Notification.objects.filter(
            pk=key, state=NotificationState.WAITING, tries__gte=settings.NOTIFICATION_MAX_TRIES
        ).update(state=NotificationState.GAVE_UP, last_error=type(error).__name__)
    finally:
        connection.close()


def deliver(key: UUID) -> bool:
    """Try one that was claimed; whether it was told."""
    found = Notification.objects.select_related(
        "job__project", "job__pipeline", "job__created_by", "webhook"
    ).filter(pk=key, state=NotificationState.WAITING)
    notification = found.first()
    if notification is None:
        return False
    with bound_contextvars(job_id=notification.job_id):
        return _deliver(notification)


def _deliver(notification: Notification) -> bool:
    key = notification.pk
    if notification.payload is None:
        notification.payload = payload_of(notification, notification.job)
        Notification.objects.filter(pk=key).update(payload=notification.payload)
    try:
        _tell(notification)
    except NotTold as error:
        _not_told(notification, error)
        return False
    hit("notify.told")
    _settle(notification, NotificationState.DELIVERED, "")
    logs.write_one(
        notification.job_id,
        "notification.delivered",
        f"{_whom(notification)} was told that the job ended.",
        notification_id=str(key),
        tries=notification.tries,
    )
    return True


def _tell(notification: Notification) -> None:
    webhook = notification.webhook
    if notification.way == NotificationWay.EMAIL or webhook is None:
        send_email(notification.job, notification)
        return
    if not webhook.active:
        raise NotTold("it was switched off", permanent=True)
    call_webhook(webhook, notification)


def _not_told(notification: Notification, error: NotTold) -> None:
    tries = notification.tries
    give_up = error.permanent or tries >= settings.NOTIFICATION_MAX_TRIES
    pause = min(FIRST_PAUSE_SECONDS * 2.0 ** (tries - 1), LONGEST_PAUSE_SECONDS)
    if give_up:
        _settle(notification, NotificationState.GAVE_UP, error.message)
    else:
        NOTIFIED.inc(notification.way, "failed")
        Notification.objects.filter(pk=notification.pk).update(
            next_try_at=clock.now() + timedelta(seconds=pause), last_error=error.message
        )
    logs.write_one(
        notification.job_id,
        "notification.gave_up" if give_up else "notification.failed",
        f"{_whom(notification)} could not be told that the job ended: {error.message}. "
        + (f"Given up after {tries} tries." if give_up else f"Next try in {pause:g} s."),
        "ERROR" if give_up else "WARNING",
        notification_id=str(notification.pk),
        tries=tries,
    )


def _settle(notification: Notification, state: NotificationState, error: str) -> None:
    NOTIFIED.inc(notification.way, str(state.value))
    delivered = clock.now() if state == NotificationState.DELIVERED else None
    Notification.objects.filter(pk=notification.pk).update(
        state=state, last_error=error, delivered_at=delivered
    )


def _whom(notification: Notification) -> str:
    webhook = notification.webhook
    if webhook is None:
        return "Who created the job"
    return f"The webhook {webhook.name} ({webhook.host})"


def _forget_old() -> None:
    long_ago = clock.now() - timedelta(days=KEPT_DAYS)
    Notification.objects.filter(created_at__lt=long_ago).exclude(state=NotificationState.WAITING).delete()
