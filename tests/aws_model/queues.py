"""SQS: standard queues, with delays, visibility timeouts and receive counts."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import md5
from itertools import count
from typing import Any, TypeAlias

Request: TypeAlias = Mapping[str, Any]  # as JSON


@dataclass(slots=True)
class Message:
    """A message. `receives`: how often it was delivered."""

    id: str
    body: str
    receives: int = 0
    deleted: bool = False


class Queue:
    """A standard queue with a visibility timeout in seconds."""

    def __init__(self, clock: Callable[[], float], visibility: float = 60.0) -> None:
        self._clock = clock
        self._visibility = visibility
        self._ids = count()
        self._due: list[tuple[float, int, Message]] = []
        self._by_handle: dict[str, Message] = {}
        self.sent = 0

    @property
    def left(self) -> int:
        """Number of messages that are not deleted."""
        return sum(not message.deleted for _, _, message in self._due)

    def respond(self, operation: str, request: Request) -> dict[str, Any]:
        """Return the document of a response."""
        match operation:
            case "SendMessage":
                return self._send(request["MessageBody"], request.get("DelaySeconds", 0))
            case "SendMessageBatch":
                sent = [
                    {"Id": entry["Id"], **self._send(entry["MessageBody"], entry.get("DelaySeconds", 0))}
                    for entry in request["Entries"]
                ]
                return {"Successful": sent}
            case "ReceiveMessage":
                return self._receive(request.get("MaxNumberOfMessages", 1))
            case "DeleteMessage":
                self._by_handle.pop(request["ReceiptHandle"]).deleted = True
                return {}
        raise ValueError(f"{operation}: this model does not have it")

    def _send(self, body: str, delay: float) -> dict[str, Any]:
        self.sent += 1
        message = Message(f"m{next(self._ids)}", body)
        heapq.heappush(self._due, (self._clock() + delay, next(self._ids), message))
        return {"MessageId": message.id, "MD5OfMessageBody": _digest(body)}

    def _receive(self, most: int) -> dict[str, Any]:
        found: list[dict[str, Any]] = []
        now = self._clock()
        while self._due and len(found) < most and self._due[0][0] <= now:
            _, number, message = heapq.heappop(self._due)
            if message.deleted:
                continue
            message.receives += 1
            handle = f"{message.id}/{message.receives}"
            self._by_handle[handle] = message
            heapq.heappush(self._due, (now + self._visibility, number, message))
            attributes = {"ApproximateReceiveCount": str(message.receives)}
            found.append(
                {
                    "MessageId": message.id,
                    "ReceiptHandle": handle,
                    "Body": message.body,
                    "MD5OfBody": _digest(message.body),
                    "Attributes": attributes,
                }
            )
        return {"Messages": found} if found else {}


def _digest(body: str) -> str:
    return md5(body.encode(), usedforsecurity=False).hexdigest()
