"""Dead letters of a job as the wire shows them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

from rest_framework import serializers
from rest_framework.request import Request

from ami.jobs.api.logs import MAY_READ
from ami.jobs.api.serializers import JobSerializer
from ami.jobs.models import Attempt, DeadLetter, Job
from ami.jobs.states import ErrorCode
from ami.main.api.access import access_of
from ami.main.api.serializers.nested import CaptureNestedSerializer
from ami.main.models import SourceImage
from ami.ml.models import WorkerInstance
from ami.users.callers import Machine

MOST_IMAGES = 10_000
_KEY_MAX = 2**63 - 1

Named = Callable[[Any], str | None]
"""The name of the worker of a row; None where it is not for the caller, or there was none."""


class FailuresQuerySerializer(serializers.Serializer[Any]):
    """What narrows and orders the failures of a job."""

    code = serializers.ChoiceField(
        choices=ErrorCode.choices,
        required=False,
        allow_blank=True,
        help_text="Only images that failed with this code.",
    )
    ordering = serializers.CharField(
        required=False,
        allow_blank=True,
        help_text="`-finished_at`, newest first (the default), or `finished_at`.",
    )


class FailedAttemptSerializer(serializers.Serializer[Any]):
    """One attempt that ended badly."""

    run = serializers.IntegerField()
    attempt = serializers.IntegerField(help_text="1 for the first lease in its run.")
    worker = serializers.CharField(allow_null=True, help_text="Null where it is not for the caller.")
    code = serializers.ChoiceField(choices=ErrorCode.choices)
    reason = serializers.CharField(help_text="Empty where it is not for the caller.")
    created_at = serializers.DateTimeField()


class FailureSerializer(serializers.Serializer[Any]):
    """A failed image of a job: a dead letter."""

    image_id = serializers.IntegerField()
    capture = CaptureNestedSerializer(allow_null=True, help_text="Null if it was deleted.")
    code = serializers.ChoiceField(choices=ErrorCode.choices)
    meaning = serializers.CharField(help_text="The code in words.")
    reason = serializers.CharField(help_text="Empty where it is not for the caller.")
    run = serializers.IntegerField()
    attempts_used = serializers.IntegerField(help_text="In this run.")
    workers = serializers.ListField(
        child=serializers.CharField(), help_text="Who tried, the last one last; only names for the caller."
    )
    attempts = FailedAttemptSerializer(many=True, help_text="Of all runs, in their order.")
    finished_at = serializers.DateTimeField()


class RetryFailedRequestSerializer(serializers.Serializer[Any]):
    """Which failed images to do again; all of the job if nothing is said."""

    images = serializers.ListField(
        child=serializers.IntegerField(min_value=1, max_value=_KEY_MAX),
        required=False,
        allow_empty=False,
        max_length=MOST_IMAGES,
    )


class RetryFailedResponseSerializer(JobSerializer):
    """The job as it is now, and how many of its images are done again."""

    requeued = serializers.IntegerField(read_only=True)
    reason = serializers.CharField(
        read_only=True, help_text="Why others stay as they are; empty if none does."
    )

    class Meta(JobSerializer.Meta):
        fields = [*JobSerializer.Meta.fields, "requeued", "reason"]


def failures_as_wire(request: Request, job: Job, letters: Sequence[DeadLetter]) -> list[dict[str, Any]]:
    """A page of letters, ready to be serialized: three queries, however many letters there are.

    Who has no part in the project sees neither names of workers nor their texts, as in the log; a worker key
    sees the names of its own service's workers alone, for old ones carry names of people.
    """
    images = [letter.image_id for letter in letters]
    attempts: dict[int, list[Attempt]] = defaultdict(list)
    noted = Attempt.objects.filter(job_id=job.pk, image_id__in=images).order_by("run", "attempt")
    for attempt in noted:
        attempts[attempt.image_id].append(attempt)
    captures = SourceImage.objects.in_bulk(images)
    is_member = access_of(request).may(MAY_READ, job.project_id)
    named = _naming(request, is_member, [*letters, *noted])
    return [
        _failure(letter, captures.get(letter.image_id), attempts[letter.image_id], named, is_member)
        for letter in letters
    ]


def _naming(request: Request, is_member: bool, noted: Sequence[DeadLetter | Attempt]) -> Named:
    if not is_member:
        return lambda _: None
    if not isinstance(request.user, Machine):
        return lambda row: row.worker or None
    ids = {row.instance_id for row in noted if row.instance_id is not None}
    own = WorkerInstance.objects.filter(pk__in=ids, service=request.user.service_id)
    known = set(own.values_list("pk", flat=True))
    return lambda row: row.worker if row.instance_id in known else None


def _failure(
    letter: DeadLetter,
    capture: SourceImage | None,
    attempts: Sequence[Attempt],
    named: Named,
    is_member: bool,
) -> dict[str, Any]:
    names = [name for name in map(named, [*attempts, letter]) if name]
    return {
        "image_id": letter.image_id,
        "capture": capture,
        "code": letter.error_code,
        "meaning": letter.meaning,
        "reason": letter.error_text if is_member else "",
        "run": letter.run,
        "attempts_used": letter.attempts_used,
        "workers": list(dict.fromkeys(reversed(names)))[::-1],
        "attempts": [
            {
                "run": attempt.run,
                "attempt": attempt.attempt,
                "worker": named(attempt),
                "code": attempt.error_code,
                "reason": attempt.error_text if is_member else "",
                "created_at": attempt.created_at,
            }
            for attempt in attempts
        ],
        "finished_at": letter.finished_at,
    }
