"""The description of the API."""

from __future__ import annotations

import json
from io import StringIO

import pytest
from django.core.management import call_command


@pytest.mark.django_db
def test_the_description_is_made_without_a_warning() -> None:
    out = StringIO()
    call_command("spectacular", "--validate", "--fail-on-warn", stdout=out)
    assert "/api/v2/jobs/{id}/result/" in out.getvalue()


@pytest.mark.django_db
def test_every_call_says_in_a_line_what_it_does() -> None:
    out = StringIO()
    call_command("spectacular", format="openapi-json", stdout=out)
    paths = json.loads(out.getvalue())["paths"]
    summaries = {
        (method, path): call.get("summary") for path, calls in paths.items() for method, call in calls.items()
    }
    assert [key for key, summary in summaries.items() if not summary] == []
    assert summaries["post", "/api/v2/jobs/{id}/cancel/"] == "End a job now"
    assert summaries["delete", "/api/v2/captures/{id}/"] == "Delete one"
