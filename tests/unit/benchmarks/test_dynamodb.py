"""The fake tables of the benchmarks: shapes that boto3 and the asynchronous client can read, and loud refusals."""

from __future__ import annotations

import orjson
import pytest

from benchmarks.dynamodb import AcceptingTables


def ask(tables: AcceptingTables, operation: str, **request: object) -> dict[str, object]:
    status, body = tables.respond(operation, orjson.dumps(request))
    assert status == 200
    answer: dict[str, object] = orjson.loads(body)
    return answer


@pytest.mark.parametrize("operation", ["GetItem", "PutItem", "DeleteItem", "TransactWriteItems"])
def test_writes_succeed_and_items_are_absent(operation: str) -> None:
    assert ask(AcceptingTables(), operation) == {}


def test_batches_leave_nothing_unprocessed() -> None:
    read = ask(AcceptingTables(), "BatchGetItem", RequestItems={"state": {"Keys": []}})
    assert read == {"Responses": {"state": []}, "UnprocessedKeys": {}}
    assert ask(AcceptingTables(), "BatchWriteItem", RequestItems={}) == {"UnprocessedItems": {}}


def test_the_lease_receives_its_fence() -> None:
    assert ask(AcceptingTables(), "UpdateItem") == {"Attributes": {"fence": {"N": "1"}}}


def test_a_query_reads_prepared_pages_one_after_the_other() -> None:
    tables = AcceptingTables({("t#1.0", ""): b'{"Items":[1]}', ("t#1.0", "c1"): b'{"Items":[2]}'})
    values = {":k": {"S": "t#1.0"}}
    assert ask(tables, "Query", ExpressionAttributeValues=values) == {"Items": [1]}
    start = {"connection_id": {"S": "c1"}}
    assert ask(tables, "Query", ExpressionAttributeValues=values, ExclusiveStartKey=start) == {"Items": [2]}
    missing = ask(tables, "Query", ExpressionAttributeValues={":k": {"S": "other#1.0"}})
    assert missing["Items"] == []


@pytest.mark.parametrize("operation", ["DescribeTable", "ReceiveMessage", ""])
def test_an_operation_that_is_missing_is_refused_by_name(operation: str) -> None:
    status, body = AcceptingTables().respond(operation, b"{}")
    assert status == 400
    assert "does not implement" in orjson.loads(body)["message"]
