"""Fetches a URL: to the address that was checked, in limited time, up to a limited size.

Time is the hard part: a server that sends one byte now and then never runs into a timeout of the socket, and
neither the resolver nor the reading of headers knows another one. So each call runs in a thread of its own.
Its caller waits until the deadline, and then shuts the socket, which ends the thread.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future
from contextlib import closing, suppress
from dataclasses import dataclass, field
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError
from urllib3.exceptions import TimeoutError as UrllibTimeout

from ami.base.api.json import UnreadableJson, read_json
from ami.base.outgoing.addresses import Address, Target, permitted_addresses, target_of
from ami.base.outgoing.errors import (
    AnswerNotUnderstood,
    AnswerTooLarge,
    BadStatus,
    NotConnected,
    OutgoingError,
    ServiceTimedOut,
    ServiceUnreachable,
)

_CHUNK = 64 * 1024
_MOST_ADDRESSES = 3
_HEADERS = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "AMI"}


@dataclass(frozen=True)
class Limits:
    """How long a call may take (seconds), and how large its answer may be (bytes)."""

    total: float = 8.0
    """From the look-up of the name to the last byte."""
    connect: float = 3.0
    """To one address; a name may have several."""
    read: float = 8.0
    """The longest silence."""
    max_bytes: int = 1_000_000


@dataclass(frozen=True)
class Answer:
    """What came back, whatever its status: a redirect is an answer that nobody follows."""

    host: str
    status: int
    body: bytes = field(repr=False)
    seconds: float
    """From the start of the call to the last byte."""

    def json(self) -> Any:
        """The content. Raises BadStatus unless the answer is good, AnswerNotUnderstood if it is not JSON."""
        if 300 <= self.status < 400:
            raise BadStatus(
                f"{self.host} sends us elsewhere (status {self.status}); give the final address.",
                status=self.status,
            )
        if not 200 <= self.status < 300:
            raise BadStatus(f"{self.host} answered with the status {self.status}.", status=self.status)
        try:
            return read_json(self.body)
        except UnreadableJson as error:
            raise AnswerNotUnderstood(f"The answer of {self.host} {error}") from error


def fetch(
    url: str,
    *,
    method: str = "GET",
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    limits: Limits | None = None,
) -> Answer:
    """Ask once, and return the answer as it is. Call it outside of transactions: it may take `limits.total`.

    A `body` is sent as JSON. Nothing is ever tried again once a connection stood.
    Raises AddressRefused, ServiceUnreachable, ServiceTimedOut, AnswerTooLarge or AnswerNotUnderstood.
    """
    call = _Call(target_of(url), method, body, headers or {}, limits or Limits())
    threading.Thread(target=call.run, name="outgoing", daemon=True).start()
    return call.wait()


class _Call:
    """One call; `run` in its own thread, `wait` in that of the caller."""

    def __init__(
        self, target: Target, method: str, body: bytes | None, headers: Mapping[str, str], limits: Limits
    ) -> None:
        content = {"Content-Type": "application/json"} if body is not None else {}
        self.target = target
        self.limits = limits
        # No session: it would heed the proxies of the environment and read a redirect's body without limit.
        self.request = requests.Request(
            method, target.url, headers={**_HEADERS, **content, **headers, "Host": target.netloc}, data=body
        ).prepare()
        self._started = time.monotonic()
        self._outcome: Future[Answer] = Future()
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._is_over = False

    def wait(self) -> Answer:
        """The answer, or the error; at the deadline the connection is shut."""
        try:
            return self._outcome.result(timeout=self._left())
        except TimeoutError as error:
            self._give_up()
            raise self._too_late() from error

    def run(self) -> None:
        """Ask, and keep whatever comes of it for the caller."""
        _running.call = self
        try:
            self._outcome.set_result(self._ask())
        except BaseException as error:  # noqa: BLE001 - it is raised again where the caller waits
            self._outcome.set_exception(error)

    def opened(self, connection: socket.socket) -> None:
        """Keep the socket for `wait`; raises TimeoutError if that is over."""
        with self._lock:
            self._socket = connection
            if self._is_over:
                raise TimeoutError

    def _give_up(self) -> None:
        with self._lock:
            self._is_over = True
            if self._socket is not None:
                with suppress(OSError):
                    socket.socket.shutdown(self._socket, socket.SHUT_RDWR)  # of TLS, too, with no farewell

    def _ask(self) -> Answer:
        for address in permitted_addresses(self.target)[:_MOST_ADDRESSES]:
            try:
                return self._ask_at(address)
            except (requests.RequestException, HTTPError, OSError) as error:
                failed = error
                if self._socket is not None:  # it may have been heard: nobody else is asked
                    break
        raise self._failure(failed) from failed

    def _ask_at(self, address: Address) -> Answer:
        timeout = (min(self.limits.connect, self._left()), self.limits.read)
        with closing(_PinnedAdapter(address)) as adapter:
            response = adapter.send(self.request, stream=True, timeout=timeout, verify=True)
            with closing(response):
                body = self._body_of(response)
        return Answer(self.target.netloc, response.status_code, body, time.monotonic() - self._started)

    def _body_of(self, response: requests.Response) -> bytes:
        if response.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise AnswerNotUnderstood(f"{self.target.netloc} compressed its answer, which was not asked for.")
        size, parts = 0, []
        for part in response.iter_content(_CHUNK):
            size += len(part)
            if size > self.limits.max_bytes:
                raise AnswerTooLarge(
                    f"The answer of {self.target.netloc} is larger than {self.limits.max_bytes:,} bytes."
                )
            parts.append(part)
        return b"".join(parts)

    def _failure(self, error: Exception) -> OutgoingError:
        cause = error.args[0] if error.args else None  # while a body is read, requests has one class for all
        if isinstance(error, requests.Timeout) or isinstance(cause, UrllibTimeout):
            return self._too_late()
        if self._socket is not None:
            return ServiceUnreachable(f"{self.target.netloc} broke off before it had answered.")
        if isinstance(error, requests.exceptions.SSLError):
            return NotConnected(
                f"No secure connection to {self.target.netloc} could be made; is its certificate valid?"
            )
        return NotConnected(f"No connection to {self.target.netloc} could be made.")

    def _too_late(self) -> ServiceTimedOut:
        return ServiceTimedOut(f"{self.target.netloc} did not answer within {self.limits.total:g} s.")

    def _left(self) -> float:
        return max(0.001, self._started + self.limits.total - time.monotonic())


class _Running(threading.local):
    """The call that this thread is for."""

    call: _Call


_running = _Running()


class _PlainConnection(HTTPConnection):
    """A connection that tells its call of its socket."""

    def connect(self) -> None:
        super().connect()
        _running.call.opened(self.sock)


class _TlsConnection(HTTPSConnection):
    """A connection that tells its call of its socket."""

    def connect(self) -> None:
        super().connect()
        _running.call.opened(self.sock)


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _PlainConnection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


class _PinnedAdapter(HTTPAdapter):
    """Sends every request to one address; what is asked for, and whose certificate counts, stays the name."""

    def __init__(self, address: Address) -> None:
        self._address = address
        super().__init__(max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _PlainPool, "https": _TlsPool}

    def build_connection_pool_key_attributes(
        self, request: requests.PreparedRequest, verify: Any, cert: Any = None
    ) -> tuple[Any, Any]:
        attributes: tuple[Any, Any] = super().build_connection_pool_key_attributes(request, verify, cert)
        host, context = attributes
        if host["scheme"] == "https":
            context["server_hostname"] = host["host"]
        host["host"] = str(self._address)
        return attributes
