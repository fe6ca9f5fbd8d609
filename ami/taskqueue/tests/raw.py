"""Looking at the server past the code under test, with a plain nats-py client."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import nats


def js(url: str, call: str) -> dict[str, Any]:
    """The answer of the JetStream API to a call without a body."""

    async def ask() -> dict[str, Any]:
        client = await nats.connect(url)
        try:
            reply = await client.request(f"$JS.API.{call}", b"", timeout=2)
        finally:
            await client.close()
        answer: dict[str, Any] = json.loads(reply.data)
        return answer

    return asyncio.run(ask())


def create_stream(url: str, name: str, subject: str) -> None:
    """Create a stream of somebody else."""

    async def create() -> None:
        client = await nats.connect(url)
        try:
            await client.jetstream().add_stream(name=name, subjects=[subject])
        finally:
            await client.close()

    asyncio.run(create())


def publish(url: str, subject: str, *bodies: bytes) -> None:
    """Put bodies into a stream as they are."""

    async def send() -> None:
        client = await nats.connect(url)
        try:
            for body in bodies:
                await client.jetstream().publish(subject, body)
        finally:
            await client.close()

    asyncio.run(send())
