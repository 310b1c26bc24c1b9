"""Sends messages to an SQS queue with the asynchronous client."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import orjson

from chaincast.aws.fast.connection import HttpError
from chaincast.aws.fast.service_client import ServiceClient

_ENTRIES = 10
"""Maximum number of messages in one request (SendMessageBatch)."""

_HEADERS = (("content-type", "application/x-amz-json-1.0"), ("x-amz-target", "AmazonSQS.SendMessageBatch"))


class QueueSender:
    """Sends messages to one standard queue. `client`: of service `sqs`, at the region's endpoint."""

    def __init__(self, client: ServiceClient, url: str) -> None:
        self._client = client
        self._url = url

    async def send(self, messages: Sequence[tuple[str, int]]) -> list[bool]:
        """Send messages, each with its delay in seconds.

        Return for each whether SQS has stored it; a failure is not raised, and not tried again.
        """
        chunks = [messages[start : start + _ENTRIES] for start in range(0, len(messages), _ENTRIES)]
        return [stored for results in await asyncio.gather(*map(self._send, chunks)) for stored in results]

    async def _send(self, messages: Sequence[tuple[str, int]]) -> list[bool]:
        entries = [
            {"Id": str(number), "MessageBody": body, "DelaySeconds": delay}
            for number, (body, delay) in enumerate(messages)
        ]
        request = orjson.dumps({"QueueUrl": self._url, "Entries": entries})
        try:
            response = await self._client.post("/", request, _HEADERS)
        except HttpError:
            return [False] * len(messages)
        if response.status != 200:
            return [False] * len(messages)
        stored = {entry["Id"] for entry in orjson.loads(response.body).get("Successful", ())}
        return [entry["Id"] in stored for entry in entries]
