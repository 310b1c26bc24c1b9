"""`chaincast reset-checkpoint`: make a network's listener continue from another block.

After a reset to an earlier block the listener reads blocks again and delivers their events again, under the same ids.
After a reset to a later block the events between the two are never delivered. The listener must be stopped first,
because the holder of the lease continues from its own position.
"""

from __future__ import annotations

import argparse
import time

from botocore.exceptions import ClientError

from chaincast.eventlog.checkpoint import checkpoint_key, read_checkpoint
from local.errors import StepFailed
from local.stack.deployed_stack import DeployedStack
from local.terminal import Terminal


def run(options: argparse.Namespace) -> int:
    """Set the checkpoint. Return 0 if it was set, 1 if `--yes` is missing. Raises `StepFailed`."""
    stack = DeployedStack.from_options(options)
    table = stack.resource("AWS::DynamoDB::GlobalTable", "StorageState")
    client = stack.client("dynamodb")
    key = checkpoint_key(options.network)
    item = read_checkpoint(client, table, options.network)
    if "block" not in item:
        raise StepFailed(
            "reset", f"network {options.network!r} has no checkpoint in {table}", "use a name from chaincast.toml"
        )
    current = int(item["block"]["N"])
    console = Terminal(highlight=False)
    effect = "delivered again" if options.block < current else "never delivered"
    console.print(f"{options.network}: block {current} → {options.block}; events between the two will be {effect}")
    if not options.yes:
        console.print("nothing was changed; add --yes to write the checkpoint")
        return 1
    try:
        client.update_item(
            TableName=table,
            Key=key,
            # An empty hash makes the listener accept whatever block is on the chain. The new fence rejects later
            # writes of previous lease holders.
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
        advice = "stop it (set the desired count of its service to 0), wait 15 seconds, and try again"
        raise StepFailed("reset", f"a listener of {options.network} is running", advice) from None
    console.print("checkpoint written; start the listener")
    return 0
