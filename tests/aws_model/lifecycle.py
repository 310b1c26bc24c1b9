"""Lambda's event source of the lifecycle queue, with the function: `python -m tests.aws_model.lifecycle CONCURRENCY`.

One process stands for many execution environments, so each job is an invocation of its own.
"""

from __future__ import annotations

import asyncio
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

REMAINING_MS = 30_000
POLL_SECONDS = 0.25


async def consume(function: Any, client: Any, url: str, concurrency: int) -> None:
    """Invoke the function with each job, and delete those that succeed. It never ends."""
    slots = asyncio.Semaphore(concurrency)
    running: set[asyncio.Task[None]] = set()

    async def run(message: dict[str, Any]) -> None:
        record = {"messageId": message["MessageId"], "body": message["Body"], "attributes": message["Attributes"]}
        try:
            response = await function.lifecycle_handler.handle({"Records": [record]}, REMAINING_MS)
            if not response["batchItemFailures"]:
                await asyncio.to_thread(client.delete_message, QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        finally:
            slots.release()

    while True:
        response = await asyncio.to_thread(
            client.receive_message, QueueUrl=url, MaxNumberOfMessages=10, MessageSystemAttributeNames=["All"]
        )
        for message in response.get("Messages", []):
            await slots.acquire()
            task = asyncio.create_task(run(message))
            running.add(task)
            task.add_done_callback(running.discard)
        if not response.get("Messages"):
            await asyncio.sleep(POLL_SECONDS)


def main() -> None:
    """Run until the process is stopped."""
    from chaincast.aws import boto_clients, environment
    from functions import lifecycle

    lifecycle.loop.set_default_executor(ThreadPoolExecutor(4))
    url = environment.require_env(environment.LIFECYCLE_QUEUE)
    lifecycle.loop.run_until_complete(consume(lifecycle, boto_clients.sqs(), url, int(sys.argv[1])))


if __name__ == "__main__":
    main()
