"""Every line that is logged while a request about a job is answered says which job that is."""

from __future__ import annotations

from collections.abc import Callable

import structlog
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from ami.base.api.fields import parse_key

_VIEWS = "api:job-"


class JobInLogsMiddleware:
    """Comes after the middleware that binds the request id, and leaves nothing bound behind it."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer; afterwards no job is bound."""
        try:
            return self.get_response(request)
        finally:
            structlog.contextvars.unbind_contextvars("job_id")

    def process_view(self, request: HttpRequest, _view: object, _args: object, named: dict[str, str]) -> None:
        """Bind the job of the address, if it is one of a job."""
        match = request.resolver_match
        if match is None or not (match.view_name or "").startswith(_VIEWS):
            return
        job_id = parse_key(named.get("pk"))
        if job_id is not None:
            structlog.contextvars.bind_contextvars(job_id=job_id)
