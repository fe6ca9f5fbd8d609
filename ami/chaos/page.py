"""The generated page docs/reference/chaos-report.md: what was run, what it showed, what the words mean."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Sequence

from ami.chaos.outcome import Outcome
from ami.chaos.platform import HEALTH_SECONDS, SHORT_TIMES
from ami.chaos.report import as_markdown, table
from ami.chaos.scenario import Scenario, known
from ami.demo.programs import ROOT

PAGE = ROOT / "docs" / "reference" / "chaos-report.md"

HEAD = """# Chaos report

What became of jobs while AMI was broken on purpose. Written by the command below; do not edit it. How to run
and read it: [Break it on purpose](../howto/operate/chaos.md).

    {command}

Every run is a whole platform of real processes (web server, Celery, beat, workers) on real servers (Postgres,
Valkey, NATS), broken on purpose. {images} images a job, {cpus} processors for everything. The times of the
platform are short so that much can be tried: {times}, health checks every {health} s. With the times of
production the same healing takes minutes.

| column | means |
|---|---|
| seeds | runs of this scenario; each breaks at another moment of the job |
| violations | promises that were broken, of the invariants and of the scenario. Must be 0 |
| not ended | runs in which something did not happen in its time. Must be 0 |
| heal | seconds from the end of the fault to the end of the job, or as the scenario says below |
| redeliveries / image | how often an image was handed out again |
| duplicated work % | images that were begun once more than needed, in per cent of all images |
| looks | how often the invariants were looked at: twice a second, and at the end |

"""


def write_page(outcomes: Sequence[Outcome], arguments: Sequence[str], *, images: int) -> None:
    """Write the page. `arguments`: of the command line."""
    head = HEAD.format(
        command=shlex.join(["scripts/chaos", *arguments]),
        images=f"{images:,}",
        cpus=os.cpu_count(),
        times=", ".join(f"`{name}={value}`" for name, value in SHORT_TIMES.items()),
        health=HEALTH_SECONDS,
    )
    ran = {one.scenario for one in outcomes}
    described = "\n".join(line for one in known() if one.id in ran for line in _description(one))
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(f"{head}{as_markdown(table(outcomes))}\n\n## Scenarios\n\n{described}")


def _description(scenario: Scenario) -> Iterator[str]:
    yield f"**{scenario.id} {scenario.title}.**"
    yield f"Done: {scenario.injects}."
    yield f"Must hold: {scenario.holds}"
    yield f"{(scenario.body.__doc__ or '').strip()}\n"
