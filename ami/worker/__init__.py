"""The reference pull worker: everything that a machine with a GPU needs to work for AMI, and no Django.

pipeline    what a worker author writes: a `Pipeline` that turns images into finds
client      the HTTP calls, with retries and clear sentences
download    images of a batch, fetched side by side
feed        polls jobs, reserves batches, downloads one batch ahead
runner      the loop: feed, process, post
cli         `ami-worker register | run | process`
pipelines/  the pipelines that come with AMI
sheets      makes photographs of light sheets, for tests and demonstrations
"""

from __future__ import annotations

from ami.worker.boxes import Box
from ami.worker.client import AmiClient
from ami.worker.pipeline import Classification, Found, LoadedImage, Pipeline, classifier, detector
from ami.worker.runner import Worker

__all__ = [
    "AmiClient",
    "Box",
    "Classification",
    "Found",
    "LoadedImage",
    "Pipeline",
    "Worker",
    "classifier",
    "detector",
]
