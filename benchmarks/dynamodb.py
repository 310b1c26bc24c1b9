"""The DynamoDB and SQS operations that Chaincast calls, as if every write succeeded.

Reads find nothing, except in partitions whose pages are prepared. One implementation serves all benchmarks, so that an
operation that a measured part begins to call is added once. An operation that is not here is answered with an error
that names it, and fails the benchmark: a fake that guesses would measure retries.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import orjson

Pages: TypeAlias = Mapping[tuple[str, str], bytes]
"""(partition key, last connection id of the page before, or "") to the body of a Query's response."""

_NO_ITEMS = b'{"Items":[],"Count":0,"ScannedCount":0}'
_NO_PAGES: Pages = {}


class AcceptingTables:
    """Tables that accept every write, except counts if `refuses_counts`.

    `pages`: responses of Query for partitions with items.
    """

    def __init__(self, pages: Pages = _NO_PAGES, *, refuses_counts: bool = False) -> None:
        self._pages = pages
        self._refuses_counts = refuses_counts

    def respond(self, operation: str, body: bytes) -> tuple[int, bytes]:
        """Return the HTTP status and body of the response to an operation's JSON request."""
        match operation:
            case "Query" if self._pages:
                return 200, self._page(orjson.loads(body))
            case "Query" | "Scan":
                return 200, _NO_ITEMS
            case "GetItem" | "PutItem" | "DeleteItem" | "TransactWriteItems":
                return 200, b"{}"
            case "UpdateItem" if self._refuses_counts and b'"counts/' in body:
                return 400, b'{"__type":"com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException"}'
            case "UpdateItem":
                # The only update that reads its result is the lease's: it needs the fence.
                return 200, b'{"Attributes":{"fence":{"N":"1"}}}'
            case "BatchGetItem":
                tables = orjson.loads(body)["RequestItems"]
                return 200, orjson.dumps({"Responses": {table: [] for table in tables}, "UnprocessedKeys": {}})
            case "BatchWriteItem":
                return 200, b'{"UnprocessedItems":{}}'
            case "SendMessage":
                return 200, b'{"MessageId":"1"}'
            case _:
                message = f"benchmarks/dynamodb.py does not implement {operation or 'this request'!r}: add it there"
                return 400, orjson.dumps({"__type": "UnknownOperationException", "message": message})

    def _page(self, query: dict[str, Any]) -> bytes:  # a request's JSON: DynamoDB's own shape
        key = query["ExpressionAttributeValues"][":k"]["S"]
        after = (query.get("ExclusiveStartKey") or {}).get("connection_id", {"S": ""})["S"]
        return self._pages.get((key, after), _NO_ITEMS)
