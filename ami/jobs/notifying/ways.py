"""The two ways of telling somebody. Each raises NotTold with a sentence that an operator understands."""

from __future__ import annotations

import time
from smtplib import SMTPException

import orjson
from django.conf import settings
from django.core.mail import EmailMessage

from ami.base.outgoing import AddressRefused, Limits, OutgoingError, fetch
from ami.jobs.models import Job, Notification, Webhook
from ami.jobs.notifying.signing import headers
from ami.main.storage.errors import StorageRefused
from ami.main.storage.secrets import unseal

_LIMITS = Limits(total=8, max_bytes=64 * 1024)
_GONE = 410
_WORDS = {"SUCCESS": "finished", "FAILURE": "failed", "REVOKED": "was cancelled"}


class NotTold(Exception):
    """It could not be told now; `permanent`: nor will it be later."""

    def __init__(self, message: str, *, permanent: bool = False) -> None:
        super().__init__(message)
        self.message = message
        self.permanent = permanent


def call_webhook(webhook: Webhook, notification: Notification) -> None:
    """Post it, signed. Any answer of 200 to 299 is good."""
    body = orjson.dumps(notification.payload)
    try:
        signed = headers(unseal(webhook.secret), str(notification.pk), int(time.time()), body)
    except StorageRefused:
        raise NotTold(
            "its secret was stored under another DJANGO_SECRET_KEY; make the webhook anew", permanent=True
        ) from None
    try:
        answer = fetch(webhook.url, method="POST", body=body, headers=signed, limits=_LIMITS)
    except AddressRefused as error:
        raise NotTold(error.message.rstrip("."), permanent=True) from error
    except OutgoingError as error:
        raise NotTold(error.message.rstrip(".")) from error
    if not 200 <= answer.status < 300:
        raise NotTold(f"it answered with the status {answer.status}", permanent=answer.status == _GONE)


def send_email(job: Job, notification: Notification) -> None:
    """Write to who created the job."""
    user = job.created_by
    if user is None or not user.is_active:
        raise NotTold("there is no such account any more", permanent=True)
    if not settings.EMAIL_ENABLED:
        raise NotTold("this server sends no e-mail; set EMAIL_URL", permanent=True)
    message = EmailMessage(
        subject=f"Job {job.pk} {_WORDS.get(notification.job_status, 'ended')}: {_line(job.name)}",
        body=_text(notification),
        to=[user.email],
        headers={"Message-ID": f"<{notification.pk}@ami>", "Auto-Submitted": "auto-generated"},
    )
    try:
        message.send()
    except (SMTPException, OSError) as error:
        raise NotTold(f"the mail server did not take it ({type(error).__name__})") from error


def _text(notification: Notification) -> str:
    told = (notification.payload or {})["data"]
    job, images = told["job"], told["images"]
    lines = [
        f"The job {job['id']} ({_line(job['name'])}) of the project {_line(told['project']['name'])} "
        f"{_WORDS.get(job['status'], 'ended')}.",
    ]
    if images:
        lines.append(
            f"{images['processed']:,} of {images['total']:,} images were processed, "
            f"{images['failed']:,} failed, {images['cancelled']:,} were cancelled."
        )
    if job["url"]:
        lines.append(job["url"])
    return "\n\n".join(lines) + "\n"


def _line(text: str) -> str:
    """Names stand in headers: one line, not too long."""
    return " ".join(text.split())[:200]
