"""What workers send and get: the bodies of `tasks` and `result` (contract 1.9.3, 1.9.4)."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request

from ami.jobs.api.result_body import PostedItems
from ami.jobs.lifecycle.receive import ItemAnswer
from ami.jobs.lifecycle.reserve import ReservedTask
from ami.ml.pipeline_configs import TravellingConfig


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
    config = serializers.DictField(help_text="Settings of the pipeline in this project.")
    lease_seconds = serializers.FloatField(help_text="How long the image stays with the caller.")
    attempt = serializers.IntegerField(help_text="1 for the first lease of this image in this run.")


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


def client_info(request: Request) -> Any:
    """What the caller says of itself, as it came; None if it says nothing."""
    return request.data.get("client_info") if isinstance(request.data, dict) else None


def task_as_wire(task: ReservedTask, config: TravellingConfig | None) -> dict[str, Any]:
    """One task in the contract's words, and what we add to them."""
    image_id = str(task.image_id)
    return {
        "id": image_id,
        "image_id": image_id,
        "image_url": task.image_url,
        "reply_subject": task.token,
        "config": config.config if config else {},
        "lease_seconds": settings.NATS_TASK_TTR,
        "attempt": task.attempt,
    }


def answer_as_wire(answer: ItemAnswer) -> dict[str, str]:
    """What became of an item, in the contract's words."""
    shown = {"reply_subject": answer.reply_subject, "status": str(answer.status), "task_id": answer.task_id}
    if answer.reason:
        shown["reason"] = answer.reason
    return shown
