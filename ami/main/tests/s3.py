"""A real S3 server for tests: moto's, as a process of its own. Import the fixture `s3` where it is used."""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import count
from typing import Any
from urllib.parse import quote

import boto3
import pytest
import requests

from ami.embedded.process import ServerProcess
from ami.main.models import Project, StorageSource
from ami.main.storage.secrets import seal
from ami.taskqueue.tests.waiting import wait_for

REGION = "us-east-1"
_numbers = count(1)
_EVERYTHING = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}
)


class S3Server:
    """The server, somebody who may do everything, and keys that it knows."""

    def __init__(self, url: str) -> None:
        """`url`: where it listens."""
        self.url = url
        wait_for(self._answers, seconds=60)
        named: Any = {
            "endpoint_url": url,
            "region_name": REGION,
            "aws_access_key_id": "root",
            "aws_secret_access_key": "root",
        }
        self.client: Any = boto3.client("s3", **named)
        iam: Any = boto3.client("iam", **named)
        iam.create_user(UserName="ami")
        iam.put_user_policy(UserName="ami", PolicyName="all", PolicyDocument=_EVERYTHING)
        key = iam.create_access_key(UserName="ami")["AccessKey"]
        self.access_key: str = key["AccessKeyId"]
        self.secret_key: str = key["SecretAccessKey"]

    def bucket(self, *keys: str, body: bytes = b"jpeg") -> str:
        """A new bucket with objects of these keys."""
        name = f"traps-{next(_numbers)}"
        self.client.create_bucket(Bucket=name)
        self.put(name, *keys, body=body)
        return name

    def put(self, bucket: str, *keys: str, body: bytes = b"jpeg") -> None:
        """Add objects that are not there yet."""
        with requests.Session() as session:  # many are made faster without a client
            for key in keys:
                path = quote(f"/{bucket}/{key}")
                session.put(f"{self.url}{path}", body, timeout=10).raise_for_status()

    def source(self, project: Project, bucket: str, **fields: Any) -> StorageSource:
        """A data source for a bucket, with good keys."""
        defaults = {
            "name": bucket,
            "endpoint_url": self.url,
            "access_key": seal(self.access_key),
            "secret_key": seal(self.secret_key),
        }
        return StorageSource.objects.create(project=project, bucket=bucket, **{**defaults, **fields})

    @contextmanager
    def strict(self) -> Iterator[None]:
        """While the block runs, the server judges keys and signatures."""
        self._judge_after("0")
        try:
            yield
        finally:
            self._judge_after("inf")

    def _judge_after(self, calls: str) -> None:
        requests.post(f"{self.url}/moto-api/reset-auth", data=calls, timeout=10).raise_for_status()

    def _answers(self) -> bool:
        try:
            return requests.get(f"{self.url}/moto-api/", timeout=5).ok
        except requests.ConnectionError:
            return False


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """One server for the whole session; each test makes buckets of its own."""
    home = tmp_path_factory.mktemp("s3")
    port = _free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    process = ServerProcess(command, log=home / "s3.log", cwd=home)
    try:
        yield S3Server(f"http://127.0.0.1:{port}")
    finally:
        process.kill()


def _free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
