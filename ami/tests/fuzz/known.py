"""What exists in a small world, by the names that parameters and fields have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ami.tests.tenants import Tenants
from ami.users.roles import Role
from ami.users.tests.factories import PASSWORD

Values = dict[str, list[Any]]
"""Name → the values that mean something under it."""

_IDS = {
    "project": "project project_id deployment__project source_image__project "
    "detection__source_image__project",
    "deployment": "deployment deployment_id",
    "device": "device_id",
    "site": "research_site_id",
    "pipeline": "pipeline pipeline_id default_processing_pipeline_id",
    "capture": "source_image source_image_single source_image_single_id",
    "sourceimagecollection": "collections detection__source_image__collections source_image_collection "
    "source_image_collection_id",
    "algorithm": "algorithm detection_algorithm",
    "detection": "detection",
    "taxon": "taxon parent",
    "user": "user_id",
}
"""Under which names the key of an object goes."""


@dataclass(frozen=True)
class Known:
    """The same name may mean one thing to people and another in what workers send."""

    api: Values
    wire: Values


def known_in(tenants: Tenants, lease: str) -> Known:
    """The objects of this world, and a lease of a task that is out."""
    slug, capture = tenants.pipeline.slug, tenants.ids["capture"]
    ids = {name: [tenants.ids[kind]] for kind, names in _IDS.items() for name in names.split()}
    api: Values = {
        "email": [tenants.bystander.email],
        "password": [PASSWORD],
        "role_id": [Role.RESEARCHER.value],
        "leases": [[lease], [lease, lease]],
        "pipelines": [[slug]],
        "pipeline__slug": [slug],
        "slug": [slug],
        "filters": [{}, {"job_id": tenants.job.pk}, {"collection_id": tenants.capture_set.pk}],
        "kwargs": [{}, {"image_ids": [capture]}],
        "projects": [[tenants.project.pk]],
    }
    wire: Values = {
        "reply_subject": [lease],
        "pipeline": [slug],
        "image_id": [str(capture)],
        "source_image_id": [str(capture)],
        "algorithm": [{"name": it.name, "key": it.key} for it in tenants.pipeline.algorithms.all()],
        "classification": ["moth"],
        "scores": [[0.75], [0.75, 0.25], []],
        "timestamp": ["2026-06-01T22:00:00"],
        "id": [str(capture)],
        "bbox": [{"x1": 1, "y1": 1, "x2": 9, "y2": 9}, None],
    }
    return Known(ids | api, wire)
