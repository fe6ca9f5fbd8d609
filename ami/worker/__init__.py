"""The Python client of AMI, and the reference worker built on it. No Django is needed.

Three ways to use it, from little to much of your own code:

- write a `Pipeline`, and let the command `ami-worker` do the rest;
- run a `Worker` with your pipelines from your own program;
- write your own loop with `AmiClient`, and let a `Heartbeat` keep your `Leases`.

docs/howto/write-a-worker.md shows each, docs/reference/worker-protocol.md tells what goes over the wire.

pipeline    what a worker author writes: a `Pipeline` that turns images into finds
client      the calls of the protocol as methods
transport   one HTTP call: retries, time limits, clear sentences; bodies, answers, sessions belong to it
leases      the leases in hand, shared by all threads; heartbeat extends them, closing gives them back
feed        reserves tasks, downloads their images (download), makes batches of them
runner      the loop: feed, process, post
cli         `ami-worker register | run | process`
pipelines/  the pipelines that come with AMI
sheets      makes photographs of light sheets, for tests and demonstrations
"""

from __future__ import annotations

from ami.worker.boxes import Box
from ami.worker.client import AmiClient
from ami.worker.heartbeat import Heartbeat
from ami.worker.leases import Leases
from ami.worker.pipeline import Classification, Found, LoadedImage, Pipeline, classifier, detector
from ami.worker.runner import Worker

__all__ = [
    "AmiClient",
    "Box",
    "Classification",
    "Found",
    "Heartbeat",
    "Leases",
    "LoadedImage",
    "Pipeline",
    "Worker",
    "classifier",
    "detector",
]
