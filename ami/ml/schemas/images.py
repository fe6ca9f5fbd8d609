"""Captures as the wire knows them: an id and a URL."""

from __future__ import annotations

from ami.ml.schemas.base import Id, Url, WireModel


class SourceImageRequest(WireModel):
    """A capture that a service is asked to process."""

    id: Id
    url: Url


class SourceImageResponse(WireModel):
    """A capture that was processed."""

    id: Id
    url: Url
