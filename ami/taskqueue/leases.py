"""Lease tokens: what a worker gets with a task and must send back with its result.

A token is a signed record of the lease. It does not expire (the ledger judges), it names no queue subject,
and everything the platform later sends to NATS is rebuilt from its verified numbers. The signature is a keyed
BLAKE2b and not an HMAC from OpenSSL: that one releases the GIL for every small message, which in a busy
threaded server made 50 tokens cost 45 ms instead of 0.1 ms.
"""

from __future__ import annotations

import base64
import hmac
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

from ami.taskqueue.errors import InvalidLease
from ami.taskqueue.names import DeliveryRef

_VERSION = 1
# version | job, run, epoch, image, attempt | delivered, stream_seq, consumer_seq, timestamp_ns, pending
_RECORD = struct.Struct(">B QIIQI IQQQQ")
_MAC_BYTES = 16
_MAX_HOLDER_BYTES = 128
_MAX_TOKEN_CHARS = 4 * (_RECORD.size + _MAX_HOLDER_BYTES + _MAC_BYTES + 2) // 3
_PERSON = b"ami.lease"


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to work on one image of a job: who holds it, in which run and attempt, by which delivery.

    `delivery` is None for an image that was never in the queue, because it is pushed to a service.
    """

    job_id: int
    run: int
    image_id: int
    attempt: int
    holder: str
    delivery: DeliveryRef | None


class LeaseSigner:
    """Signs and verifies lease tokens; thread-safe."""

    def __init__(self, keys: Sequence[bytes | str]) -> None:
        """`keys`: secrets of any length. The first signs, all verify, so a key rotates without lost work."""
        if not keys:
            raise ValueError("LeaseSigner needs at least one key.")
        self._hashers = [_hasher(key) for key in keys]

    def sign(self, lease: Lease) -> str:
        """The token of a lease: URL-safe text, about 150 characters."""
        record = _pack(lease)
        return base64.urlsafe_b64encode(record + _mac(self._hashers[0], record)).rstrip(b"=").decode()

    def verify(self, token: str) -> Lease:
        """The lease of a token. Raises InvalidLease for every text that `sign` did not return."""
        raw = _decode(token)
        record, mac = raw[:-_MAC_BYTES], raw[-_MAC_BYTES:]
        if not any(hmac.compare_digest(_mac(hasher, record), mac) for hasher in self._hashers):
            raise InvalidLease
        return _unpack(record)


def _hasher(key: bytes | str) -> blake2b:
    secret = key.encode() if isinstance(key, str) else key
    if not secret:
        raise ValueError("A lease key must not be empty.")
    return blake2b(key=blake2b(secret, digest_size=32).digest(), digest_size=_MAC_BYTES, person=_PERSON)


def _mac(hasher: blake2b, record: bytes) -> bytes:
    keyed = hasher.copy()
    keyed.update(record)
    return keyed.digest()


def _pack(lease: Lease) -> bytes:
    ref = lease.delivery
    if ref is None:
        raise ValueError("A lease without a delivery has no token: nobody sends it back.")
    holder = lease.holder.encode()
    if lease.job_id != ref.job_id:
        raise ValueError("A lease and its delivery must be of the same job.")
    if len(holder) > _MAX_HOLDER_BYTES:
        raise ValueError(f"The holder of a lease may have at most {_MAX_HOLDER_BYTES} bytes.")
    try:
        numbers = _RECORD.pack(
            _VERSION,
            lease.job_id,
            lease.run,
            ref.epoch,
            lease.image_id,
            lease.attempt,
            ref.delivered,
            ref.stream_seq,
            ref.consumer_seq,
            ref.timestamp_ns,
            ref.pending,
        )
    except struct.error as error:
        raise ValueError(f"A number of this lease is negative or too large: {error}") from error
    return numbers + holder


def _unpack(record: bytes) -> Lease:
    version, job_id, run, epoch, image_id, attempt, *counters = _RECORD.unpack_from(record)
    if version != _VERSION:
        raise InvalidLease("This lease token is of a format that is no longer accepted.")
    return Lease(
        job_id=job_id,
        run=run,
        image_id=image_id,
        attempt=attempt,
        holder=record[_RECORD.size :].decode(),
        delivery=DeliveryRef(job_id, epoch, *counters),
    )


def _decode(token: str) -> bytes:
    """The bytes of a token; only the one spelling that `sign` produces is accepted."""
    if not isinstance(token, str) or len(token) > _MAX_TOKEN_CHARS or not token.isascii():
        raise InvalidLease
    text = token.encode()
    try:
        raw = base64.urlsafe_b64decode(text + b"=" * (-len(text) % 4))
    except ValueError:
        raise InvalidLease from None
    if len(raw) < _RECORD.size + _MAC_BYTES or base64.urlsafe_b64encode(raw).rstrip(b"=") != text:
        raise InvalidLease
    return raw
