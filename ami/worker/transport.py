"""One HTTP call to the server: time limits, retries that do as the server asks, errors in sentences."""

from __future__ import annotations

import threading
import time
from typing import Any, TypeVar
from urllib.parse import urlsplit

import pydantic
import requests

from ami.worker.answers import explain_lost_connection, read_answer, root_cause
from ami.worker.bodies import Body
from ami.worker.errors import AnswerLost, BadAddress, WorkerError
from ami.worker.identity import Identity
from ami.worker.retrying import RetryPolicy, Wait, with_retries
from ami.worker.sessions import ThreadSessions, TokenAuth

API_PATH = "/api/v2"
CONNECT_SECONDS = 10.0
ANSWER_SECONDS = 30.0

Model = TypeVar("Model", bound=pydantic.BaseModel)
Never = type[WorkerError] | tuple[type[WorkerError], ...]


class Transport:
    """Calls one server with one token. Safe to use from several threads."""

    def __init__(
        self, url: str, token: str, identity: Identity, retries: RetryPolicy, stop: threading.Event
    ) -> None:
        """`stop` ends the waits between attempts."""
        self.base = normalise_address(url)
        self._retries = retries
        self._stop = stop
        self._sessions = ThreadSessions(lambda: _session(token, identity))

    def get(self, path: str, schema: type[Model]) -> Model:
        """The answer to a GET."""

        def call() -> Model:
            return read_answer(self._send("GET", path, ANSWER_SECONDS), schema)

        return with_retries(call, policy=self._retries, wait=self._stop.wait)

    def post(
        self,
        path: str,
        body: Body,
        schema: type[Model],
        *,
        seconds: float = ANSWER_SECONDS,
        never: Never = (),
        policy: RetryPolicy | None = None,
        wait: Wait | None = None,
    ) -> Model:
        """The answer to a POST. `seconds`: for the answer; `never`: errors after which it is not repeated."""
        headers = {"Content-Type": "application/json", **body.headers}

        def call() -> Model:
            response = self._send(
                "POST", path, seconds, data=body.data, headers=headers, allow_redirects=False
            )
            return read_answer(response, schema)

        return with_retries(call, policy=policy or self._retries, wait=wait or self._stop.wait, never=never)

    def close(self) -> None:
        """Close all connections."""
        self._sessions.close()

    def _send(self, method: str, path: str, seconds: float, **options: Any) -> requests.Response:
        timeout = (CONNECT_SECONDS, seconds)
        try:
            return self._sessions.get().request(method, self.base + path, timeout=timeout, **options)
        except (requests.ReadTimeout, requests.exceptions.ChunkedEncodingError) as error:
            raise AnswerLost(f"{self.base} took the request, but its answer did not arrive.") from error
        except requests.ConnectionError as error:
            raise explain_lost_connection(self.base, error) from error
        except requests.RequestException as error:
            raise BadAddress(f"Cannot send a request to {self.base}: {root_cause(error)}.") from error


class Patience:
    """Waits for what is worth it, such as results: a stop does not end the attempts at once, but soon."""

    def __init__(self, stop: threading.Event, seconds: float) -> None:
        """`seconds`: how long after the stop was noticed."""
        self._stop = stop
        self._seconds = seconds
        self._give_up_at: float | None = None

    def wait(self, seconds: float) -> bool:
        """Wait in full; True at once if that would be too late."""
        due = time.monotonic() + seconds
        if not self._stop.wait(seconds):
            return False
        if self._give_up_at is None:
            self._give_up_at = time.monotonic() + self._seconds
        if due > self._give_up_at:
            return True
        time.sleep(max(0.0, due - time.monotonic()))
        return False


def normalise_address(url: str) -> str:
    """The base of all calls, without a slash at the end; `/api/v2` is added if it is missing.

    A name and password before the host are left out: the token is what we show, and errors quote the base.
    """
    address = url.strip()
    parts = urlsplit(address)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise BadAddress(
            f"{address.rpartition('@')[2]!r} is not the address of a server. "
            "It looks like https://ami.example.org or http://localhost:8000."
        )
    path = parts.path.rstrip("/")
    if not path.endswith(API_PATH):
        path += API_PATH
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{path}"


def _session(token: str, identity: Identity) -> requests.Session:
    session = requests.Session()
    session.auth = TokenAuth(token)
    session.headers.update(identity.headers())
    return session
