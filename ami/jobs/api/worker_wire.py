"""What workers send and get: the bodies of `tasks` and `result` (contract 1.9.3, 1.9.4)."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request

from ami.base.logs import clean_text
from ami.jobs.api.result_body import PostedItems
from ami.jobs.lifecycle.holders import NAME_MAX, Worker, worker_of
from ami.jobs.lifecycle.receive import ItemAnswer
from ami.jobs.lifecycle.reserve import ReservedTask

NAME_HEADER = "X-Processing-Service-Name"


class TasksRequestSerializer(serializers.Serializer[Any]):
    """How many tasks a worker wants."""

    batch_size = serializers.IntegerField(min_value=1)
    client_info = serializers.JSONField(required=False, allow_null=True)


class TaskSerializer(serializers.Serializer[Any]):
    """One image to process."""

    id = serializers.CharField()
    image_id = serializers.CharField()
    image_url = serializers.CharField(help_text="Absolute; fetch it without the API token.")
    reply_subject = serializers.CharField(help_text="The lease: send it back with the result.")


class TasksResponseSerializer(serializers.Serializer[Any]):
    """The tasks that the worker now holds; an empty list when there are none."""

    tasks = TaskSerializer(many=True)


class ResultRequestSerializer(serializers.Serializer[Any]):
    """Results of one or more tasks; see docs/reference for the form of an item."""

    results = serializers.ListField(child=serializers.JSONField())
    client_info = serializers.JSONField(required=False, allow_null=True)


class ItemAnswerSerializer(serializers.Serializer[Any]):
    """What became of one result."""

    reply_subject = serializers.CharField()
    status = serializers.ChoiceField(
        choices=["queued", "duplicate", "rejected", "cancelled", "retry", "failed"]
    )
    task_id = serializers.CharField(allow_blank=True)
    reason = serializers.CharField(required=False)


class ResultResponseSerializer(serializers.Serializer[Any]):
    """What became of a post."""

    status = serializers.CharField()
    job_id = serializers.IntegerField()
    results_queued = serializers.IntegerField()
    tasks = ItemAnswerSerializer(many=True)


def batch_size(request: Request) -> int:
    """The wanted number of tasks, no more than one call hands out. Raises a 400 for what is no number."""
    body = TasksRequestSerializer(data=request.data)
    body.is_valid(raise_exception=True)
    return min(int(body.validated_data["batch_size"]), settings.RESERVE_MAX_BATCH)


def posted_results(request: Request) -> PostedItems:
    """The items of a post, unparsed. Raises a 400 only when there is no list of them, or far too many."""
    body = request.data
    if not isinstance(body, dict):
        kind = type(body).__name__
        raise ValidationError({"non_field_errors": [f"Invalid data. Expected a dictionary, but got {kind}."]})
    if "results" not in body:
        raise ValidationError({"results": ["This field is required."]})
    results = body["results"]
    if results is None:
        raise ValidationError({"results": ["This field may not be null."]})
    if not isinstance(results, PostedItems):
        kind = type(results).__name__
        raise ValidationError({"results": [f'Expected a list of items but got type "{kind}".']})
    most = settings.RESULT_MAX_ITEMS
    if len(results) > most:
        raise ValidationError({"results": [f"More than {most:,} items; send at most {most:,} in one post."]})
    return results


def given_name(request: Request) -> str:
    """The name of the service that the caller says it is, from `client_info` or a header; empty if unsaid."""
    named = _client_info(request).get("name")
    name = named if isinstance(named, str) and named else request.headers.get(NAME_HEADER, "")
    return clean_text(name, NAME_MAX).strip()


def caller(request: Request) -> Worker:
    """Who calls: bound to the token, named by what the caller says of itself."""
    host = _client_info(request).get("hostname")
    name = given_name(request) or (host if isinstance(host, str) else "")
    return worker_of(request.user.pk or 0, getattr(request.user, "name", ""), name)


def _client_info(request: Request) -> dict[str, Any]:
    info = request.data.get("client_info") if isinstance(request.data, dict) else None
    return info if isinstance(info, dict) else {}


def task_as_wire(task: ReservedTask) -> dict[str, str]:
    """One task in the contract's words."""
    image_id = str(task.image_id)
    return {"id": image_id, "image_id": image_id, "image_url": task.image_url, "reply_subject": task.token}


def answer_as_wire(answer: ItemAnswer) -> dict[str, str]:
    """What became of an item, in the contract's words."""
    shown = {"reply_subject": answer.reply_subject, "status": str(answer.status), "task_id": answer.task_id}
    if answer.reason:
        shown["reason"] = answer.reason
    return shown
