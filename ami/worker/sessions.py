"""HTTP sessions, one a thread: a `requests.Session` keeps connections open but is not made for sharing."""

from __future__ import annotations

import threading
from collections.abc import Callable

import requests
from requests.auth import AuthBase


class TokenAuth(AuthBase):
    """`Authorization: Token …`; as an auth object, because a .netrc file would override a plain header."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Token {self._token}"
        return request


class NoAuth(AuthBase):
    """Send no credentials, not even those of a .netrc file: image URLs carry their own."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        return request


class ThreadSessions:
    """Gives every thread its own session, made by `build` at first use."""

    def __init__(self, build: Callable[[], requests.Session]) -> None:
        self._build = build
        self._local = threading.local()
        self._lock = threading.Lock()
        self._all: list[requests.Session] = []

    def get(self) -> requests.Session:
        """The session of the calling thread."""
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None:
            session = self._local.session = self._build()
            with self._lock:
                self._all.append(session)
        return session

    def close(self) -> None:
        """Close the connections of all threads."""
        with self._lock:
            for session in self._all:
                session.close()
