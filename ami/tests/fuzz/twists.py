"""What clients and networks do to requests: things that no description of an API speaks of."""

from __future__ import annotations

import gzip
from collections.abc import Callable

from hypothesis import strategies as st
from requests import PreparedRequest

Twist = Callable[[PreparedRequest], PreparedRequest]

_ACCEPTED = ("application/json", "text/html", "*/*", "application/xml", "nonsense; q=;,")


def accepted() -> st.SearchStrategy[str]:
    """What the caller says that it understands; browsers are shown a page with forms."""
    return st.one_of(st.just("application/json"), st.sampled_from(_ACCEPTED))


def twists() -> st.SearchStrategy[Twist]:
    """Something that changes a request; half of the time nothing."""
    return st.one_of(st.just(untouched), st.sampled_from(_TWISTS))


def untouched(request: PreparedRequest) -> PreparedRequest:
    """As it was made."""
    return request


def _cut(request: PreparedRequest) -> PreparedRequest:
    return _with_body(request, _body(request)[: len(_body(request)) // 2])


def _compressed(request: PreparedRequest) -> PreparedRequest:
    return _with_body(request, gzip.compress(_body(request)), **{"Content-Encoding": "gzip"})


def _said_to_be_compressed(request: PreparedRequest) -> PreparedRequest:
    return _with_body(request, _body(request), **{"Content-Encoding": "gzip"})


def _with_strange_values(request: PreparedRequest) -> PreparedRequest:
    body = _body(request)
    for plain, strange in (
        (b"null", b"NaN"),
        (b"true", b"1e999"),
        (b'""', b'"\\ud800\\u0000"'),
        (b"0", b"9" * 400),
    ):
        body = body.replace(plain, strange, 1)
    return _with_body(request, body)


def _with_a_strange_query(request: PreparedRequest) -> PreparedRequest:
    mark = "&" if "?" in (request.url or "") else "?"
    request.url = (
        f"{request.url}{mark}format=x&search=%00%ED%A0%80&limit=-1&offset=9e9&ordering=-,pk&project_id=%00"
    )
    return request


def _of_another_type(request: PreparedRequest) -> PreparedRequest:
    return _with_body(request, _body(request), **{"Content-Type": 'application/json; charset="no such"'})


def _as_a_form(request: PreparedRequest) -> PreparedRequest:
    return _with_body(request, _body(request), **{"Content-Type": "multipart/form-data; boundary=-"})


def _with_a_strange_token(request: PreparedRequest) -> PreparedRequest:
    return _with_body(request, _body(request), Authorization="Token amiw_\xe9\xff\x00")


def _body(request: PreparedRequest) -> bytes:
    body = request.body or b""
    return body if isinstance(body, bytes) else str(body).encode()


def _with_body(request: PreparedRequest, body: bytes, **headers: str) -> PreparedRequest:
    request.body = body
    request.headers.update(headers)
    return request


_TWISTS: tuple[Twist, ...] = (
    _cut,
    _compressed,
    _said_to_be_compressed,
    _with_strange_values,
    _with_a_strange_query,
    _of_another_type,
    _as_a_form,
    _with_a_strange_token,
)
