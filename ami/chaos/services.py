"""Push services of a run: real processes (`ami-worker serve`), registered over the API as people do it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ami.chaos.door import Door, door_before
from ami.chaos.platform import free_port

if TYPE_CHECKING:
    from ami.chaos.run import Run
    from ami.chaos.world import Night

BATCH = "request_source_image_batch_size"


@dataclass(frozen=True, slots=True)
class Service:
    """A push service. `name`: of its program, and in the ledger; `id`: of its row."""

    name: str
    id: int


def pushing_night(run: Run) -> Night:
    """A project whose jobs are pushed."""
    night = run.night(**{BATCH: run.batch})
    flags = {"feature_flags": {"async_pipeline_workers": False}}
    run.operator.insist("PATCH", f"/projects/{night.project_id}/", json=flags)
    return night


@contextmanager
def serving(run: Run, night: Night, count: int = 1) -> Iterator[list[Service]]:
    """So many services of a project, at work until the block ends."""
    with ExitStack() as stack:
        yield [stack.enter_context(_service(run, night, letter)) for letter in "ab"[:count]]


@contextmanager
def serving_behind_a_door(run: Run, night: Night) -> Iterator[Door]:
    """One service, which the platform reaches through a door."""
    with _program(run, "a") as (name, port), door_before(port) as door, _row(run, night, name, door.port):
        yield door


@contextmanager
def _service(run: Run, night: Night, letter: str) -> Iterator[Service]:
    with _program(run, letter) as (name, port), _row(run, night, name, port) as row:
        yield Service(name, row)


@contextmanager
def _program(run: Run, letter: str) -> Iterator[tuple[str, int]]:
    name, port = f"service-{run.number}-{letter}", free_port()
    run.platform.start_service(name, port)
    try:
        run.platform.wait_for_service(name)
        yield name, port
    finally:
        run.platform.programs.remove(name)


@contextmanager
def _row(run: Run, night: Night, name: str, port: int) -> Iterator[int]:
    project = f"?project_id={night.project_id}"
    body = {"name": name, "endpoint_url": f"http://127.0.0.1:{port}/"}
    made = run.operator.insist("POST", f"/ml/processing_services/{project}", json=body)
    row = int(made["instance"]["id"])
    run.operator.insist("POST", f"/ml/processing_services/{row}/register_pipelines/{project}")
    try:
        yield row
    finally:
        run.world.retire(row)
