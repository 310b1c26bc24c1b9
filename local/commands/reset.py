"""`chaincast reset-checkpoint`: let a network's listener go on from another block.

Backward: what it reads again is told again, under the ids that it had. Forward: what is between is never told. The
listener must be stopped: whoever holds the lease would go on where it was.
"""

from __future__ import annotations

import argparse
import time

from botocore.exceptions import ClientError
from rich.console import Console

from chaincast.eventlog.checkpoint import checkpoint_key, read_checkpoint
from local.stack.deployed import Deployed
from local.stack.tools import StepFailed


def run(options: argparse.Namespace) -> int:
    """Set the checkpoint; 0 if it is set."""
    deployed = Deployed.of(options)
    table = deployed.resource("AWS::DynamoDB::GlobalTable", "StorageState")
    client = deployed.client("dynamodb")
    key = checkpoint_key(options.network)
    item = read_checkpoint(client, table, options.network)
    if "block" not in item:
        raise StepFailed("reset", f"{options.network!r} has no checkpoint in {table}", "is that its name?")
    before = int(item["block"]["N"])
    console = Console(highlight=False)
    way = "told again" if options.block < before else "never told"
    console.print(f"{options.network}: block {before} → {options.block}; what is between will be {way}")
    if not options.yes:
        console.print("nothing was changed: say --yes")
        return 1
    try:
        client.update_item(
            TableName=table,
            Key=key,
            # Without a hash, the chain is taken as it is there; a new fence, and nobody before may write any more.
            UpdateExpression="SET #b = :block, block_hash = :none ADD fence :one",
            ConditionExpression="attribute_not_exists(lease_until) OR lease_until < :now",
            ExpressionAttributeNames={"#b": "block"},
            ExpressionAttributeValues={
                ":block": {"N": str(options.block)},
                ":none": {"S": ""},
                ":one": {"N": "1"},
                ":now": {"N": f"{time.time():.3f}"},
            },
        )
    except ClientError as error:
        if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
            raise
        advice = "stop it (set the service's desired count to 0), wait for fifteen seconds, and try again"
        raise StepFailed("reset", f"a listener of {options.network} is running", advice) from None
    console.print("set; start the listener")
    return 0
