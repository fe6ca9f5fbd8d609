"""Verbs on push services: look whether one is there, and take over what it offers."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import structlog
from django.db.models import QuerySet

from ami.base import clock
from ami.base.errors import InvalidInput
from ami.base.outgoing import OutgoingError
from ami.main.models import Project
from ami.ml.models import ProcessingService
from ami.ml.push import Readiness, ask_info, ask_ready
from ami.ml.registration import Registration, register_pipelines
from ami.ml.schemas import PipelineConfigResponse

logger = structlog.get_logger(__name__)

ASKED_AT_ONCE = 16
QUICK_SECONDS = 3.0


class NothingToAsk(InvalidInput):
    """This service has no address to ask: its workers pull, and register their pipelines themselves."""

    code = "pull_service"


@dataclass(frozen=True)
class Check:
    """What a look at a service found."""

    is_live: bool | None
    """None: nobody has looked yet."""
    slugs: list[str] = field(default_factory=list)
    """The pipelines that it can run right now."""
    seconds: float = 0.0
    error: str | None = None
    """Why it counts as gone, in a sentence."""


def check_service(service: ProcessingService) -> Check:
    """Ask a push service whether it is there, and note the outcome; the pipelines stay as they are.

    Takes up to 8 s; call it outside of transactions. Raises NothingToAsk for a pull service. Safe to repeat.
    """
    endpoint = _endpoint_of(service)
    return _note_answer(service, endpoint, _look(endpoint))


def check_push_services() -> int:
    """Ask every push service whether it is there, `ASKED_AT_ONCE` at a time; returns how many are.

    Each gets `QUICK_SECONDS`: one that is silent keeps no other waiting. Safe to run twice.
    """
    return check_these(ProcessingService.objects.pushed_to())


def check_these(services: QuerySet[ProcessingService]) -> int:
    """Ask these push services, likewise."""
    asked = list(services.order_by("pk"))
    endpoints = [_endpoint_of(service) for service in asked]
    with ThreadPoolExecutor(ASKED_AT_ONCE, thread_name_prefix="ask-services") as pool:
        answers = pool.map(lambda endpoint: _look(endpoint, QUICK_SECONDS), endpoints)
        checks = [
            _note_answer(service, endpoint, answer)
            for service, endpoint, answer in zip(asked, endpoints, answers, strict=True)
        ]
    return sum(check.is_live is True for check in checks)


def register_offered(
    *, project: Project, service: ProcessingService
) -> tuple[Registration, list[PipelineConfigResponse]]:
    """Register what a push service offers in a project that it serves; what changed, and what was offered.

    Takes up to 8 s; call it outside of transactions. Safe to repeat: registering twice changes nothing.
    Raises OutgoingError if the service cannot be asked, NothingToAsk for a pull service, and
    PipelineNotConfigured for what could not be used.
    """
    endpoint = _endpoint_of(service)
    offered = ask_info(endpoint).pipelines
    _note(service, endpoint, last_seen=clock.now(), last_seen_live=True)
    return register_pipelines(project=project, service=service, pipelines=offered), offered


def note_away(service: ProcessingService, endpoint: str) -> None:
    """A service that did not answer at this address counts as gone until it is seen again."""
    _note(service, endpoint, last_seen_live=False)


def _look(endpoint: str, seconds: float = 8) -> Readiness | OutgoingError:
    """What a service says; does not touch the database, so that threads may call it."""
    try:
        return ask_ready(endpoint, seconds)
    except OutgoingError as error:
        return error


def _note_answer(service: ProcessingService, endpoint: str, answer: Readiness | OutgoingError) -> Check:
    if isinstance(answer, OutgoingError):
        logger.info("service.check_failed", service_id=service.pk, code=answer.code, error=answer.message)
        _note(service, endpoint, last_seen_live=False)
        return Check(is_live=False, error=answer.message)
    _note(service, endpoint, last_seen=clock.now(), last_seen_live=True, last_seen_latency=answer.seconds)
    return Check(is_live=True, slugs=answer.slugs, seconds=answer.seconds)


def _endpoint_of(service: ProcessingService) -> str:
    if not service.endpoint_url:
        raise NothingToAsk
    return service.endpoint_url


def _note(service: ProcessingService, endpoint: str, **seen: object) -> None:
    """Keep what was seen, unless the service has moved in the meantime: then it was another one."""
    if ProcessingService.objects.filter(pk=service.pk, endpoint_url=endpoint).update(**seen):
        for name, value in seen.items():
            setattr(service, name, value)
