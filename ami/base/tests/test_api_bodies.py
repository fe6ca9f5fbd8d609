"""Reading request bodies: never more than is allowed, compressed or not, with or without a length."""

from __future__ import annotations

import gzip
import io
import tracemalloc
import zlib
from typing import Any

import orjson
import pytest
from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory
from pytest_django.fixtures import Settings
from rest_framework.exceptions import APIException
from rest_framework.request import Request
from rest_framework.test import APIRequestFactory

from ami.base.api.bodies import PIECE, read_body
from ami.base.api.json import OrjsonParser, SmallJsonParser
from ami.base.api.middleware import ChunkedBodyMiddleware

TEXT = b"moth " * 200_000
LIMIT = len(TEXT)


class Counted(io.BytesIO):
    """Says how much was taken from it."""

    taken = 0

    def read(self, size: int | None = -1, /) -> bytes:
        """As every stream."""
        data = super().read(size)
        self.taken += len(data)
        return data


def read(body: bytes, limit: int = LIMIT, **headers: Any) -> bytes:
    """The body as the server reads it."""
    return bytes(read_body(Counted(body), headers, limit))


def refused(body: bytes, limit: int = LIMIT, **headers: Any) -> tuple[int, str]:
    """Status and sentence of the refusal."""
    with pytest.raises(APIException) as caught:
        read(body, limit, **headers)
    return caught.value.status_code, str(caught.value.detail)


@pytest.mark.parametrize("encoding", ["", "identity", "Identity "])
def test_a_body_is_read_as_it_is(encoding: str) -> None:
    assert read(TEXT, CONTENT_LENGTH=str(len(TEXT)), HTTP_CONTENT_ENCODING=encoding) == TEXT
    assert read(TEXT) == TEXT, "a length is not needed"


@pytest.mark.parametrize("encoding", ["gzip", "GZIP", "x-gzip"])
def test_a_gzipped_body_is_inflated(encoding: str) -> None:
    packed = gzip.compress(TEXT)
    assert read(packed, HTTP_CONTENT_ENCODING=encoding) == TEXT
    half = len(TEXT) // 2
    strung_together = gzip.compress(TEXT[:half]) + gzip.compress(TEXT[half:])
    assert read(strung_together, HTTP_CONTENT_ENCODING=encoding) == TEXT


@pytest.mark.parametrize("encoding", ["br", "deflate", "gzip, gzip", "zstd"])
def test_other_encodings_are_a_415_with_a_sentence(encoding: str) -> None:
    status, sentence = refused(TEXT, HTTP_CONTENT_ENCODING=encoding)
    assert (status, encoding in sentence) == (415, True)


def test_a_declared_length_above_the_limit_is_refused_unread() -> None:
    stream = Counted(TEXT + b"!")
    with pytest.raises(APIException, match="larger than"):
        read_body(stream, {"CONTENT_LENGTH": str(LIMIT + 1)}, LIMIT)
    assert stream.taken == 0


def test_a_body_without_a_length_is_cut_at_the_limit() -> None:
    stream = Counted(TEXT * 20)
    with pytest.raises(APIException, match="larger than"):
        read_body(stream, {}, LIMIT)
    assert stream.taken <= LIMIT + PIECE
    assert refused(TEXT + b"!") == (413, "The request body is larger than 976.562 KiB; send less at once.")


def test_what_inflates_beyond_the_limit_is_dropped_at_the_limit() -> None:
    stream = Counted(gzip.compress(bytes(200 * LIMIT), 1))
    tracemalloc.start()
    with pytest.raises(APIException, match="larger than"):
        read_body(stream, {"HTTP_CONTENT_ENCODING": "gzip"}, LIMIT)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2 * LIMIT + 8 * PIECE
    assert stream.taken <= 2 * PIECE


DAMAGED = {
    "no gzip at all": TEXT,
    "cut off": gzip.compress(TEXT)[:-20],
    "cut off in its last field": gzip.compress(TEXT)[:-1],
    "nothing": b"",
    "wrong checksum": gzip.compress(TEXT)[:-8] + bytes(8),
    "something behind it": gzip.compress(TEXT) + b"something",
    "zlib": zlib.compress(TEXT),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_gzip_is_a_400(name: str) -> None:
    status, sentence = refused(DAMAGED[name], HTTP_CONTENT_ENCODING="gzip")
    assert (status, "not valid gzip" in sentence) == (400, True)


def test_a_body_that_ends_early_is_a_400() -> None:
    assert refused(b"12345", CONTENT_LENGTH="1000") == (400, "The request body ended after 5 of 1,000 bytes.")


def test_a_body_that_cannot_be_read_is_a_400() -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise ConnectionResetError

    with pytest.raises(APIException) as caught:
        read_body(Broken(), {}, LIMIT)
    assert caught.value.status_code == 400


@pytest.mark.parametrize(
    ("headers", "body", "read_before"),
    [
        ({"CONTENT_LENGTH": str(LIMIT)}, TEXT, 0),
        ({}, TEXT, 1_000 + PIECE),
        ({"HTTP_CONTENT_ENCODING": "gzip"}, gzip.compress(TEXT), LIMIT),
    ],
)
def test_a_large_body_is_told_once_before_it_is_kept(
    headers: dict[str, Any], body: bytes, read_before: int
) -> None:
    stream = Counted(body)
    told: list[int] = []
    read_body(stream, headers, LIMIT, large=1_000, on_large=lambda: told.append(stream.taken))
    assert len(told) == 1
    assert told[0] <= read_before


def test_a_body_that_is_not_large_is_not_told() -> None:
    told: list[None] = []
    read_body(Counted(TEXT), {}, LIMIT, large=LIMIT, on_large=lambda: told.append(None))
    assert told == []


def test_every_json_endpoint_takes_gzip(settings: Settings) -> None:
    body = gzip.compress(orjson.dumps({"name": "Night"}))
    asked = APIRequestFactory().post("/", body, content_type="application/json", HTTP_CONTENT_ENCODING="gzip")
    assert Request(asked, parsers=[OrjsonParser()]).data == {"name": "Night"}


def test_small_calls_have_a_limit_of_their_own(settings: Settings) -> None:
    settings.WORKER_CALL_MAX_BYTES = 10
    asked = APIRequestFactory().post("/", b'{"b": "long enough"}', content_type="application/json")
    with pytest.raises(APIException) as caught:
        _ = Request(asked, parsers=[SmallJsonParser()]).data
    assert caught.value.status_code == 413


def chunked(body: bytes, path: str = "/api/v2/jobs/", **environ: Any) -> HttpRequest:
    """A request without a length, as gunicorn hands it over, after the middleware."""
    request = RequestFactory().post(path)
    request.META.update({"HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input_terminated": True, **environ})
    request.META["wsgi.input"] = io.BytesIO(body)
    request.META.pop("CONTENT_LENGTH", None)
    ChunkedBodyMiddleware(lambda _request: HttpResponse())(request)
    return request


def data_of(request: HttpRequest) -> Any:
    """What a view sees."""
    request.META["CONTENT_TYPE"] = "application/json"
    return Request(request, parsers=[OrjsonParser()]).data


def test_a_chunked_body_is_read_up_to_the_limit(settings: Settings) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 30
    assert data_of(chunked(b'{"name": "Night"}')) == {"name": "Night"}
    for reader in (data_of, lambda request: request.body):
        with pytest.raises((APIException, RequestDataTooBig)):
            reader(chunked(b'{"name": "' + b"x" * 30 + b'"}'))


def test_a_chunked_body_is_not_touched_where_nobody_knows_its_end() -> None:
    endless: dict[str, Any] = {"wsgi.input_terminated": False}
    for request in (chunked(b"{}", **endless), chunked(b"{}", "/admin/")):
        assert "CONTENT_LENGTH" not in request.META
        assert b"{}" not in request.read()
