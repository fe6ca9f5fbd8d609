"""Names are made and parsed in one place, and nothing foreign is taken for ours."""

from __future__ import annotations

import pytest

from ami.taskqueue import names
from ami.taskqueue.names import DeliveryRef, parse_ack_subject

REF = DeliveryRef(
    job_id=12,
    epoch=3,
    delivered=1,
    stream_seq=77,
    consumer_seq=78,
    timestamp_ns=1795307001452463965,
    pending=4,
)
V1 = "$JS.ACK.job_12.job-12-consumer-3.1.77.78.1795307001452463965.4"


def test_names_are_those_of_the_protocol() -> None:
    assert names.stream_name(12) == "job_12"
    assert names.subject(12) == "job.12.tasks"
    assert names.consumer_name(12, 3) == "job-12-consumer-3"
    assert names.message_id(12, 3, 77, 0) == "12:3:77:0"
    assert names.pending_key(12, "process") == "job:12:pending_images:process"
    assert names.pending_key(12, "results") == "job:12:pending_images:results"
    assert names.failed_key(12) == "job:12:failed_images"
    assert names.total_key(12) == "job:12:pending_images_total"


def test_a_stream_name_gives_back_its_job() -> None:
    assert names.parse_stream_name(names.stream_name(12)) == 12


@pytest.mark.parametrize(
    "name", ["", "job_", "job_0", "job_01", "job_12x", "xjob_12", "job_1\n", "job_²", "KV_a"]
)
def test_a_foreign_stream_is_not_taken_for_ours(name: str) -> None:
    assert names.parse_stream_name(name) is None


def test_a_redis_key_gives_back_its_job() -> None:
    keys = [
        *(names.pending_key(12, stage) for stage in names.STAGES),
        names.failed_key(12),
        names.total_key(12),
    ]
    assert {names.parse_redis_key(key) for key in keys} == {12}


@pytest.mark.parametrize(
    "key", ["job:12", "job:x:failed_images", "job:12:failed_images:staging:ab", "celery"]
)
def test_a_foreign_redis_key_is_not_taken_for_ours(key: str) -> None:
    assert names.parse_redis_key(key) is None


def test_an_ack_subject_is_rebuilt_exactly() -> None:
    assert REF.ack_subject() == V1
    assert parse_ack_subject(V1) == REF


@pytest.mark.parametrize("tail", ["", ".x7Yq"])
def test_the_newer_form_of_the_ack_subject_is_read(tail: str) -> None:
    assert parse_ack_subject(V1.replace("$JS.ACK.", "$JS.ACK._.hash.") + tail) == REF


@pytest.mark.parametrize(
    "text",
    [
        "",
        "job.2.tasks",
        "$JS.API.STREAM.DELETE.job_12",
        "_INBOX.abc",
        V1 + ".1",
        V1 + "\r\nPUB x 0",
        V1.replace("job_12", "job_13"),
        V1.replace("job-12", "job-13"),
        V1.replace(".77.", ".-77."),
        V1.replace(".77.", ".*."),
        V1.replace(".77.", ".\u0667\u0667."),
        V1.replace("$JS.ACK.", "$JS.ACK._."),
        V1.replace("$JS.ACK.", "$JS.ACK._.hash.") + ".a.b",
    ],
)
def test_anything_else_is_no_ack_subject(text: str) -> None:
    with pytest.raises(ValueError, match="reply subject"):
        parse_ack_subject(text)
