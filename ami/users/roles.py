"""Roles in a project and what each may do: one table, in code, looked up without a query.

The codenames are those of the wire contract (docs/reference/roles.md); a role is stored per membership.
`Worker` is ours: it may take tasks and post results and nothing else, so that a GPU host needs no superuser.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.db import models


class Role(models.TextChoices):
    """What a person is in a project."""

    BASIC_MEMBER = "BasicMember", "Basic member"
    RESEARCHER = "Researcher", "Researcher"
    IDENTIFIER = "Identifier", "Identifier"
    ML_DATA_MANAGER = "MLDataManager", "ML data manager"
    PROJECT_MANAGER = "ProjectManager", "Project manager"
    WORKER = "Worker", "Worker"


@dataclass(frozen=True)
class RoleDefinition:
    """A role as the API lists it, with its permissions."""

    role: Role
    description: str
    permissions: frozenset[str]


_BASIC = frozenset(
    {
        "view_project",
        "view_private_data",
        "star_sourceimage",
        "create_job",
        "run_single_image_ml_job",
        "view_userprojectmembership",
    }
)
_RESEARCHER = _BASIC | {"create_dataexport", "delete_dataexport"}
_IDENTIFIER = _BASIC | {"create_identification", "update_identification", "delete_identification"}
_ML_DATA_MANAGER = _BASIC | {
    "update_job",
    "run_ml_job",
    "run_populate_captures_collection_job",
    "run_data_storage_sync_job",
    "run_regroup_events_job",
    "run_data_export_job",
    "sync_deployment",
    "delete_occurrences",
    "create_projectpipelineconfig",
    "update_projectpipelineconfig",
    "delete_projectpipelineconfig",
    "create_sourceimagecollection",
    "update_sourceimagecollection",
    "delete_sourceimagecollection",
    "populate_sourceimagecollection",
}
_PROJECT_MANAGER = (
    _RESEARCHER
    | _IDENTIFIER
    | _ML_DATA_MANAGER
    | {
        f"{verb}_{noun}"
        for verb in ("create", "update", "delete")
        for noun in (
            "s3storagesource",
            "deployment",
            "site",
            "device",
            "sourceimage",
            "sourceimageupload",
            "userprojectmembership",
            "taxalist",
            "workerkey",
        )
    }
    | {
        "update_project",
        "delete_project",
        "import_data",
        "regroup_sessions_deployment",
        "view_workerkey",
        "rotate_workerkey",
        "revoke_workerkey",
        "create_processingservice",
    }
)
_WORKER = frozenset(
    {"view_project", "view_private_data", "tasks_ml_job", "result_ml_job", "create_projectpipelineconfig"}
)

ROLES: dict[str, RoleDefinition] = {
    definition.role.value: definition
    for definition in (
        RoleDefinition(Role.BASIC_MEMBER, "Looks at the project and creates jobs.", _BASIC),
        RoleDefinition(Role.RESEARCHER, "Also exports data.", _RESEARCHER),
        RoleDefinition(Role.IDENTIFIER, "Also identifies species.", _IDENTIFIER),
        RoleDefinition(Role.ML_DATA_MANAGER, "Also runs jobs and manages pipelines.", _ML_DATA_MANAGER),
        RoleDefinition(Role.PROJECT_MANAGER, "Manages everything in the project.", _PROJECT_MANAGER),
        RoleDefinition(
            Role.WORKER, "A machine: registers pipelines, takes tasks, posts results, nothing else.", _WORKER
        ),
    )
}


def permissions_of(role: str) -> frozenset[str]:
    """The permission codenames of a role; empty for an unknown one."""
    definition = ROLES.get(role)
    return definition.permissions if definition else frozenset()
