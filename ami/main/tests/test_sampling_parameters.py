"""Parameters that make no sense are refused when a set is stored, with what is wrong."""

from __future__ import annotations

from typing import Any

import pytest

from ami.base.errors import InvalidInput
from ami.main.models.capture_set import CaptureSetMethod
from ami.main.sampling.parameters import DEFAULTS, TAKES, check_parameters, in_force
from ami.main.tests.factories import make_deployment, make_project
from ami.main.tests.people import People

SETS = "/api/v2/captures/collections/"


@pytest.mark.parametrize(
    ("method", "parameters", "sentence"),
    [
        ("random", {"siz": 3}, "The method 'random' takes no parameter 'siz'. Did you mean 'size'?"),
        ("full", {"size": 3}, "The method 'full' takes no parameter 'size'."),
        ("random", {"size": 0}, "'size' is a whole number from 1 to 10,000,000."),
        ("random", {"size": True}, "'size' is a whole number from 1 to 10,000,000."),
        ("random", {"size": "9"}, "'size' is a whole number from 1 to 10,000,000."),
        ("full", {"hour_start": 24}, "'hour_start' is a whole number from 0 to 23."),
        ("full", {"month_end": 0}, "'month_end' is a whole number from 1 to 12."),
        ("full", {"date_start": "2026-02-30"}, "'date_start' is a date such as 2026-06-01."),
        ("full", {"date_start": 20260201}, "'date_start' is a date such as 2026-06-01."),
        ("full", {"date_start": "2026-W01-1"}, "'date_start' is a date such as 2026-06-01."),
        ("full", {"date_start": "2026-02-02", "date_end": "2026-02-01"}, "'date_start' is after 'date_end'."),
        ("full", {"shuffle": "yes"}, "'shuffle' is true or false."),
        ("full", {"event_ids": 3}, "'event_ids' is a list of event ids."),
        ("full", {"event_ids": [2**70]}, "'event_ids' is a list of event ids."),
        ("positional", {"position": 1.5}, "'position' is a whole number: 0 is the first, -1 the last."),
        ("interval", {"minute_interval": 0}, "'minute_interval' is a whole number from 1 to 525,600."),
        ("full", [], "The parameters of a capture set are an object."),
    ],
)
def test_what_makes_no_sense_is_refused_in_a_sentence(method: str, parameters: Any, sentence: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        check_parameters(method, parameters)
    assert refusal.value.message == sentence


def test_every_method_has_its_parameters_and_its_defaults_are_among_them() -> None:
    assert set(TAKES) == set(CaptureSetMethod)
    for method, defaults in DEFAULTS.items():
        assert check_parameters(method, defaults) == defaults


def test_null_counts_as_left_out() -> None:
    assert check_parameters("random", {"size": None, "hour_end": None})
    assert in_force("random", {"size": None, "hour_end": None}) == {"size": 100}


@pytest.mark.integration
@pytest.mark.django_db
def test_what_belongs_to_another_project_is_named(people: People) -> None:
    client = people.client("manager")
    stranger = make_deployment(make_project()).pk

    def refused(**parameters: Any) -> Any:
        body = {"name": "S", "project": people.project.pk, "method": "interval", "kwargs": parameters}
        answer = client.post(SETS, body, format="json")
        assert answer.status_code == 400
        return answer.json()["kwargs"]

    assert refused(deployment_ids=[stranger]) == [f"The project has no deployment {stranger}."]
    assert refused(deployment_id=stranger) == [f"The project has no deployment {stranger}."]
    assert refused(event_ids=[900001]) == ["The project has no event 900001."]
    assert refused(exclude_events=[900001, 900002]) == ["The project has no events 900001 and 900002."]
    assert refused(research_site_ids=[900001]) == ["The project has no site 900001."]
