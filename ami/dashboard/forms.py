"""What people choose captures and boxes by. It stands in the address, so that a view can be sent on."""

from __future__ import annotations

from typing import Any

from django import forms
from django.db.models import Q, QuerySet

from ami.dashboard.names import has_name, of_taxa
from ami.main.models import Deployment
from ami.main.related import has_detections, is_processed
from ami.main.taxonomy import named_or_below
from ami.ml.models import Classification

LARGEST_ID = 2**63 - 1


class BoxFilter(forms.Form):
    """By what a classifier said of a box: a name, and how sure it was."""

    score = forms.FloatField(
        required=False,
        min_value=0,
        max_value=1,
        label="Score at least",
        widget=forms.NumberInput(attrs={"step": "0.01", "inputmode": "decimal", "placeholder": "any"}),
    )
    taxon = forms.CharField(
        required=False,
        max_length=255,
        widget=forms.TextInput(attrs={"list": "taxa", "placeholder": "any", "autocomplete": "off"}),
    )

    def __init__(self, data: Any) -> None:
        """`data`: the query of the address."""
        super().__init__(data, label_suffix="")

    def clean_taxon(self) -> list[int] | None:
        """The taxon of that name, whatever its case, and all that belongs to it; None if any will do."""
        name = self.cleaned_data["taxon"]
        if not name:
            return None
        found = named_or_below(name)
        if not found:
            raise forms.ValidationError(f"No taxon is called “{name}”.")
        return found

    @property
    def names(self) -> QuerySet[Classification] | None:
        """The classifications that are asked for; None if any will do."""
        score, taxon = self.cleaned_data["score"], self.cleaned_data["taxon"]
        if score is None and taxon is None:
            return None
        names = Classification.objects.all()
        if score is not None:
            names = names.filter(score__gte=score)
        return of_taxa(names, taxon) if taxon is not None else names


class CaptureFilter(BoxFilter):
    """Captures of a set or a station."""

    show = forms.ChoiceField(
        required=False,
        choices=[
            ("", "all captures"),
            ("detections", "with detections"),
            ("nothing", "nothing found"),
            ("processed", "processed"),
            ("new", "not processed yet"),
        ],
    )
    before = forms.IntegerField(required=False, min_value=0, max_value=LARGEST_ID, widget=forms.HiddenInput)
    after = forms.IntegerField(required=False, min_value=0, max_value=LARGEST_ID, widget=forms.HiddenInput)
    field_order = ["station", "show", "taxon", "score", "before", "after"]

    def __init__(self, data: Any, stations: QuerySet[Deployment] | None = None) -> None:
        """`stations`: those that can be chosen from; None where all captures are of one."""
        super().__init__(data)
        if stations is not None:
            rows = {station.pk: station for station in stations}
            self.fields["station"] = forms.TypedChoiceField(
                choices=[("", "all stations"), *((key, station.name) for key, station in rows.items())],
                coerce=lambda key: rows[int(key)],
                empty_value=None,
                required=False,
            )
            self.order_fields(self.field_order)

    @property
    def station(self) -> Deployment | None:
        """The station that was chosen."""
        found: Deployment | None = self.cleaned_data.get("station")
        return found

    @property
    def conditions(self) -> list[Q]:
        """What a capture must meet, its station apart."""
        found = list(_SHOWN[self.cleaned_data["show"]])
        if self.names is not None:
            found.append(has_name(self.names, self.cleaned_data["taxon"]))
        return found


_SHOWN: dict[str, tuple[Q, ...]] = {
    "": (),
    "detections": (Q(has_detections()),),
    "nothing": (Q(is_processed()), ~Q(has_detections())),
    "processed": (Q(is_processed()),),
    "new": (~Q(is_processed()),),
}


class Context(forms.Form):
    """From which walk a capture is looked at."""

    set = forms.IntegerField(required=False, min_value=0, max_value=LARGEST_ID)
