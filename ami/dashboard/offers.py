"""Exports that a page offers: of a project, of a capture set or of a job, to who may see or make them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django import forms
from django.http import HttpRequest
from django.urls import reverse

from ami.dashboard.forms import LARGEST_ID
from ami.dashboard.reach import access
from ami.jobs.api.export_wire import may_read
from ami.jobs.models import ExportFormat
from ami.main.api.access import Access

CREATE_PERMISSION = "create_dataexport"

PURPOSES: dict[ExportFormat, str] = {
    ExportFormat.CSV: "One table, for people: opens in Excel, LibreOffice and R.",
    ExportFormat.JSONL: "The same table for scripts: one JSON object a line.",
    ExportFormat.CAMTRAP_DP: "A zip file for other programs, repositories and GBIF, in the standard of "
    "camera-trap research. Stations need coordinates.",
}


@dataclass(frozen=True)
class Choice:
    """A format, and what it is for."""

    value: str
    name: str
    purpose: str


@dataclass(frozen=True)
class Offer:
    """What `dashboard/_exports.html` shows on the page of a project, a set or a job."""

    url: str
    """The exports of the project; a new one is posted there."""
    filters: dict[str, int]
    what: str
    may_create: bool
    choices: tuple[Choice, ...] = tuple(
        Choice(each.value, each.label, PURPOSES[each]) for each in ExportFormat
    )


class ExportForm(forms.Form):
    """A new export, as an offer posts it."""

    format = forms.ChoiceField(
        choices=ExportFormat.choices, error_messages={"required": "Choose a format for the export."}
    )
    collection_id = forms.IntegerField(required=False, min_value=1, max_value=LARGEST_ID)
    job_id = forms.IntegerField(required=False, min_value=1, max_value=LARGEST_ID)

    @property
    def filters(self) -> dict[str, Any]:
        """As the API has them."""
        return {name: self.cleaned_data[name] for name in ("collection_id", "job_id")}


def offer_of(
    request: HttpRequest, project_id: int, *, set_id: int | None = None, job_id: int | None = None
) -> Offer | None:
    """The offer for a project, or for one of its sets or jobs; None for who may not see its exports.

    One statement, for people with an account.
    """
    held = access(request)
    if not may_read(held, project_id):
        return None
    url = reverse("dashboard:exports", args=[project_id])
    may_create = may_export(held, project_id)
    if job_id is not None:
        return Offer(url, {"job_id": job_id}, "this job", may_create)
    if set_id is not None:
        return Offer(url, {"collection_id": set_id}, "this capture set", may_create)
    return Offer(url, {}, "this project", may_create)


def may_export(held: Access, project_id: int) -> bool:
    """Whether somebody may make exports in a project."""
    return held.may(CREATE_PERMISSION, project_id)
