"""What jobs are chosen by, and what a job is started with."""

from __future__ import annotations

from typing import Any

from django import forms
from django.db.models import Q, QuerySet

from ami.dashboard.forms import LARGEST_ID
from ami.jobs.models import Job
from ami.jobs.models.job import JOB_TYPES, PRIORITY_DEFAULT, PRIORITY_MAX, PRIORITY_MIN
from ami.jobs.states import CANCELABLE, JobState
from ami.main.models import Deployment, Project, SourceImageCollection
from ami.ml.models import Pipeline, ProjectPipelineConfig

MOST_CAPTURES = 2**31 - 1

_SHOWN: dict[str, Q] = {
    "open": Q(status__in=CANCELABLE),
    "success": Q(status=JobState.SUCCESS),
    "failure": Q(status=JobState.FAILURE),
    "cancelled": Q(status=JobState.REVOKED),
}


class JobFilter(forms.Form):
    """Which jobs of a list."""

    q = forms.CharField(
        required=False,
        max_length=255,
        label="Name",
        widget=forms.TextInput(attrs={"placeholder": "any", "autocomplete": "off"}),
    )
    show = forms.ChoiceField(
        required=False,
        label="State",
        choices=[
            ("", "all"),
            ("open", "not ended"),
            ("success", "success"),
            ("failure", "failure"),
            ("cancelled", "cancelled"),
        ],
    )
    kind = forms.ChoiceField(required=False, choices=[("", "all"), *JOB_TYPES.items()])
    before = forms.IntegerField(required=False, min_value=0, max_value=LARGEST_ID, widget=forms.HiddenInput)

    def __init__(self, data: Any, projects: QuerySet[Project]) -> None:
        """`data`: the query of the address; `projects`: those that the person may see."""
        super().__init__(data, label_suffix="")
        self.fields["project"] = forms.ModelChoiceField(projects, required=False, empty_label="all projects")
        self.order_fields(["project", "show", "kind", "q", "before"])

    def narrow(self, jobs: QuerySet[Job]) -> QuerySet[Job]:
        """Those that are asked for. Call on a valid form."""
        asked = self.cleaned_data
        if asked["project"]:
            jobs = jobs.filter(project=asked["project"])
        if asked["show"]:
            jobs = jobs.filter(_SHOWN[asked["show"]])
        if asked["kind"]:
            jobs = jobs.filter(job_type_key=asked["kind"])
        if asked["q"]:
            jobs = jobs.filter(name__icontains=asked["q"])
        return jobs if asked["before"] is None else jobs.filter(pk__lt=asked["before"])


def enabled_pipelines(project: Project) -> QuerySet[Pipeline]:
    """Those that jobs of the project may use."""
    configs = ProjectPipelineConfig.objects.filter(project=project, enabled=True)
    return Pipeline.objects.filter(pk__in=configs.values("pipeline")).order_by("name", "pk")


class StartForm(forms.Form):
    """A job over the captures of a set or of a station of one project."""

    name = forms.CharField(
        required=False, max_length=255, help_text="Left empty, it is named after its parts."
    )
    limit = forms.IntegerField(
        required=False,
        min_value=1,
        max_value=MOST_CAPTURES,
        label="At most",
        help_text="Captures; empty for all.",
        widget=forms.NumberInput(attrs={"placeholder": "all"}),
    )
    shuffle = forms.BooleanField(required=False, initial=True, label="In random order")
    priority = forms.IntegerField(
        required=False,
        min_value=PRIORITY_MIN,
        max_value=PRIORITY_MAX,
        help_text=f"{PRIORITY_MIN} to {PRIORITY_MAX}: its weight among jobs that wait for the same workers.",
        widget=forms.NumberInput(attrs={"placeholder": str(PRIORITY_DEFAULT)}),
    )

    def __init__(self, data: Any, project: Project, initial: dict[str, Any] | None = None) -> None:
        """`data`: what was sent, None for an empty form; what can be chosen is the project's own."""
        super().__init__(data, initial=initial, label_suffix="")
        sets = SourceImageCollection.objects.filter(project=project).order_by("-pk")
        stations = Deployment.objects.filter(project=project).order_by("name", "pk")
        self.fields["pipeline"] = forms.ModelChoiceField(enabled_pipelines(project), empty_label="choose one")
        self.fields["capture_set"] = forms.ModelChoiceField(
            sets, required=False, empty_label="none", help_text="Or choose a station."
        )
        self.fields["station"] = forms.ModelChoiceField(stations, required=False, empty_label="none")
        self.order_fields(["capture_set", "station", "pipeline", "limit", "shuffle", "priority", "name"])

    def clean(self) -> dict[str, Any]:
        """Captures come from one place."""
        found = super().clean() or {}
        if "capture_set" in found and "station" in found:
            if found["capture_set"] and found["station"]:
                self.add_error("station", "Choose either a capture set or a station.")
            if not found["capture_set"] and not found["station"]:
                self.add_error("capture_set", "Choose a capture set or a station.")
        return found
