"""Buckets are listed page by page, and what is wrong with one is said in a sentence."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pytest_django.fixtures import Settings

from ami.base.outgoing import AddressRefused, ServiceUnreachable
from ami.base.tests.servers import Service, http_service
from ami.main.storage.buckets import Bucket
from ami.main.storage.errors import (
    StorageAway,
    StorageError,
    StorageMisplaced,
    StorageMissing,
    StorageRefused,
)
from ami.main.storage.origins import Origin
from ami.main.storage.secrets import seal
from ami.main.tests.s3 import S3Server
from ami.main.tests.s3 import s3 as s3

pytestmark = pytest.mark.integration

FIRST_PAGE = "/traps?encoding-type=url&list-type=2&max-keys=1000&prefix="
ODD = ["a b+c/ü%20x.jpg", "a/b&c=d.jpg", "night/1.jpg", "night/2.jpg", "z (1).jpg"]


@pytest.fixture(autouse=True)
def loopback(settings: Settings) -> None:
    """The server may call this machine."""
    settings.OUTGOING_ALLOWED_NETWORKS = ["127.0.0.0/8"]


def origin(url: str, bucket: str = "traps", access: str = "A", secret: str = "S") -> Origin:
    """A bucket at an address."""
    return Origin("s3", bucket, "", url, "", seal(access), seal(secret), "")


def keys(bucket: Bucket, after: str = "") -> list[str]:
    """All of them."""
    return [found.path for page in bucket.pages(after) for found in page.found]


def test_every_object_is_listed_once_whatever_its_key_and_the_size_of_a_page(s3: S3Server) -> None:
    place = origin(s3.url, s3.bucket(*ODD), s3.access_key, s3.secret_key)
    with s3.strict():
        for size in (1, 2, 5, 1000):
            assert keys(Bucket(place, page=size)) == sorted(ODD)
        assert keys(Bucket(place, "night/")) == ["night/1.jpg", "night/2.jpg"]
        for number, key in enumerate(sorted(ODD)):
            assert keys(Bucket(place, page=2), after=key) == sorted(ODD)[number + 1 :]
    [page] = Bucket(place).pages()
    assert {found.size for found in page.found} == {4}


def test_an_empty_bucket_has_one_empty_page(s3: S3Server) -> None:
    [page] = Bucket(origin(s3.url, s3.bucket(), s3.access_key, s3.secret_key)).pages()
    assert (page.found, page.more) == ([], False)


def test_wrong_keys_and_missing_buckets_are_told_apart(s3: S3Server) -> None:
    name = s3.bucket()
    host = s3.url.removeprefix("http://")
    with s3.strict():
        for access, secret in (("AKIAWRONG", s3.secret_key), (s3.access_key, "wrong")):
            with pytest.raises(StorageRefused) as refused:
                keys(Bucket(origin(s3.url, name, access, secret)))
            assert refused.value.message == f"{host} does not accept the keys for the bucket '{name}'."
        with pytest.raises(StorageMissing) as missing:
            keys(Bucket(origin(s3.url, "no-such-traps", s3.access_key, s3.secret_key)))
        assert missing.value.message == f"There is no bucket 'no-such-traps' at {host}."
        assert missing.value.permanent


def test_addresses_that_are_not_public_are_not_called(s3: S3Server, settings: Settings) -> None:
    settings.OUTGOING_ALLOWED_NETWORKS = []
    with pytest.raises(AddressRefused, match="not a public address"):
        keys(Bucket(origin(s3.url)))


@pytest.fixture
def service() -> Iterator[Service]:
    """A server that answers what it is told to."""
    with http_service() as service:
        yield service


def error(code: str) -> bytes:
    """An answer of an S3 server that refuses."""
    return f"<Error><Code>{code}</Code><Message>secret thoughts</Message></Error>".encode()


@pytest.mark.parametrize(
    ("status", "body", "kind", "permanent"),
    [
        (500, b"", StorageAway, False),
        (503, error("SlowDown"), StorageAway, False),
        (429, b"", StorageAway, False),
        (301, error("PermanentRedirect"), StorageMisplaced, True),
        (400, error("AuthorizationHeaderMalformed"), StorageMisplaced, True),
        (403, error("AccessDenied"), StorageRefused, True),
        (403, b"no", StorageRefused, True),
        (403, error("RequestTimeTooSkewed"), StorageError, True),
        (404, error("NoSuchBucket"), StorageMissing, True),
        (404, b"<!DOCTYPE html><html>", StorageMissing, True),
        (400, b"<Error>", StorageError, True),
        (200, b"hello", StorageError, True),
        (200, b"<html/>", StorageError, True),
        (200, b'<!DOCTYPE x [<!ENTITY a "b">]><ListBucketResult>&a;</ListBucketResult>', StorageError, True),
    ],
)
def test_odd_answers_are_judged_by_status_and_code_and_never_quoted(
    service: Service, status: int, body: bytes, kind: type[StorageError], permanent: bool
) -> None:
    service.replies[FIRST_PAGE] = (status, {}, body)
    with pytest.raises(StorageError) as failed:
        keys(Bucket(origin(service.url)))
    assert type(failed.value) is kind
    assert failed.value.permanent is permanent
    assert "secret thoughts" not in failed.value.message


def test_a_listing_that_does_not_move_on_ends(service: Service) -> None:
    body = b"<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>"
    service.replies[FIRST_PAGE] = (200, {}, body)
    assert keys(Bucket(origin(service.url))) == []
    assert len(service.asked) == 1


def test_a_server_that_is_away_is_asked_again_later() -> None:
    with http_service() as service:
        url = service.url
    with pytest.raises(ServiceUnreachable) as failed:
        keys(Bucket(origin(url)))
    assert not failed.value.permanent
