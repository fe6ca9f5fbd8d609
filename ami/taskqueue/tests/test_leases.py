"""A lease token is opaque, and only what we signed is ever accepted."""

from __future__ import annotations

import base64
import time
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ami.taskqueue import DeliveryRef, InvalidLease, Lease, LeaseSigner

SIGNER = LeaseSigner(["a key"])
LEASE = Lease(
    job_id=12,
    run=2,
    image_id=77,
    attempt=1,
    holder="service:42",
    delivery=DeliveryRef(12, 3, 1, 77, 78, 1795307001452463965, 4),
)
TOKEN = SIGNER.sign(LEASE)
u32 = st.integers(0, 2**32 - 1)
u64 = st.integers(0, 2**64 - 1)


@given(
    job_id=u64, numbers=st.tuples(u32, u64, u32), counters=st.tuples(u32, u32, u64, u64, u64, u64),
    holder=st.text(st.characters(exclude_categories=["Cs"]), max_size=32),
)  # fmt: skip
def test_every_lease_comes_back_as_it_was(
    job_id: int, numbers: tuple[int, int, int], counters: tuple[int, ...], holder: str
) -> None:
    lease = Lease(job_id, *numbers, holder, DeliveryRef(job_id, *counters))
    assert SIGNER.verify(SIGNER.sign(lease)) == lease


def test_a_token_names_no_queue_subject_and_needs_no_escaping() -> None:
    assert TOKEN.replace("-", "").replace("_", "").isalnum()
    plain = base64.urlsafe_b64decode(TOKEN + "=" * (-len(TOKEN) % 4))
    assert all(word not in TOKEN.encode() + plain for word in (b"JS", b"ACK", b"job", b"consumer", b"tasks"))


def test_a_token_with_any_character_changed_is_refused() -> None:
    for position, character in enumerate(TOKEN):
        forged = TOKEN[:position] + ("A" if character != "A" else "B") + TOKEN[position + 1 :]
        with pytest.raises(InvalidLease):
            SIGNER.verify(forged)


def test_a_token_has_one_spelling_only() -> None:
    for other in (
        TOKEN + "=",
        TOKEN + "\n",
        " " + TOKEN,
        TOKEN[:-1],
        TOKEN + "A",
        TOKEN[:20] + "!" + TOKEN[20:],
    ):
        with pytest.raises(InvalidLease):
            SIGNER.verify(other)


def test_a_token_of_another_key_is_refused() -> None:
    with pytest.raises(InvalidLease):
        LeaseSigner(["another key"]).verify(TOKEN)


def test_a_rotated_key_still_verifies_and_no_longer_signs() -> None:
    rotated = LeaseSigner([b"new key", "a key"])
    assert rotated.verify(TOKEN) == LEASE
    with pytest.raises(InvalidLease):
        SIGNER.verify(rotated.sign(LEASE))


@pytest.mark.parametrize(
    "text",
    ["", "\0", "a\0" * 60, "\ud800" * 120, "é" * 120, "job.2.tasks", "$JS.ACK.job_1.job-1-consumer-1.1.1.1.1",
     "A" * 122, "=" * 120, TOKEN + "\0", TOKEN.swapcase()],
)  # fmt: skip
def test_text_that_we_never_wrote_is_refused(text: str) -> None:
    with pytest.raises(InvalidLease):
        SIGNER.verify(text)


@given(st.text())
def test_no_text_whatever_breaks_verification(text: str) -> None:
    with pytest.raises(InvalidLease):
        SIGNER.verify(text)


def test_a_megabyte_is_refused_without_looking_at_it() -> None:
    texts = ["A" * 1_000_000, "\0" * 1_000_000, "\ud800" * 1_000_000]
    begun = time.process_time()
    for text in texts:
        with pytest.raises(InvalidLease):
            SIGNER.verify(text)
    assert time.process_time() - begun < 0.01


@pytest.mark.parametrize("wrong", [{"image_id": -1}, {"run": 2**32}, {"holder": "x" * 200}, {"job_id": 13}])
def test_a_lease_that_cannot_be_written_is_our_error_at_signing(wrong: dict[str, int | str]) -> None:
    with pytest.raises(ValueError, match="lease"):
        SIGNER.sign(replace(LEASE, **wrong))  # type: ignore[arg-type]  # one wrong field at a time


def test_a_signer_needs_a_key() -> None:
    wrong: list[list[bytes | str]] = [[], [""], ["good", b""]]
    for keys in wrong:
        with pytest.raises(ValueError, match="key"):
            LeaseSigner(keys)
