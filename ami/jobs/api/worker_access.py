"""Finds the job that a worker calls about, and what the caller may do in its project, in one plain statement.

Workers call twice per batch, so what the rest of the API does with querysets would be felt here: composing
them costs more than running them. The rules are those of `Project.visible_to` and `permissions_in`.
"""

from __future__ import annotations

from django.contrib.auth.models import AnonymousUser
from django.db import DEFAULT_DB_ALIAS

from ami.base.database import rows
from ami.jobs.models import Job
from ami.users.callers import Machine
from ami.users.models import User
from ami.users.roles import Role, permissions_of

_NEEDED = {"id", "project_id", "pipeline_id", "job_type_key", "dispatch_mode", "status", "queue_epoch"}
_COLUMNS = [field.attname for field in Job._meta.concrete_fields if field.attname in _NEEDED]
"""In the order of the model, as `from_db` wants them."""
_FIND = f"""
SELECT {", ".join(f"j.{column}" for column in _COLUMNS)}, p.draft, p.owner_id,
    ARRAY(SELECT m.role FROM main_projectmembership m WHERE m.project_id = p.id AND m.user_id = %(user)s)
FROM jobs_job j JOIN main_project p ON p.id = j.project_id AND p.active
WHERE j.id = %(job)s
"""  # noqa: S608 - made of constants


def find_job(user: User | AnonymousUser, job_id: int) -> tuple[Job, frozenset[str]] | None:
    """A job as far as workers need it, with the caller's permissions; None if there is none to be seen."""
    found = rows(_FIND, {"user": user.pk, "job": job_id})
    if not found:
        return None
    *values, draft, owner_id, named = found[0]
    job = Job.from_db(DEFAULT_DB_ALIAS, _COLUMNS, values)
    if isinstance(user, Machine):
        return _for_machine(job, user)
    roles = {*named, Role.PROJECT_MANAGER} if user.pk is not None and owner_id == user.pk else {*named}
    if draft and not roles and not user.is_superuser:
        return None
    held = frozenset[str]().union(*(permissions_of(role) for role in roles))
    return job, held


def _for_machine(job: Job, machine: Machine) -> tuple[Job, frozenset[str]] | None:
    """Outside of its projects there is nothing for a key; in them, nothing to do with other pipelines."""
    if job.project_id not in machine.grants:
        return None
    return job, machine.grants[job.project_id] if machine.may_serve(job.pipeline_id) else frozenset()
