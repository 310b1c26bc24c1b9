"""A deployed stack as its operator reaches it: the local stack, or one in the AWS account of the environment."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from functools import cache
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from local.errors import StepFailed
from local.stack.administrator import session
from local.stack.deployment import STACK, local_http_url, local_websocket_url, run_directory


class DeployedStack:
    """One stack. `port` is that of a local stack, None on AWS. Methods raise `StepFailed` if AWS does not respond."""

    def __init__(self, name: str, port: int | None) -> None:
        self.name = name
        self.port = port

    @classmethod
    def from_options(cls, options: argparse.Namespace) -> DeployedStack:
        """Return the stack that `--stack` names; without it, the local stack on `--port`."""
        return cls(options.stack or STACK, None if options.stack else options.port)

    @property
    def is_local(self) -> bool:
        """True if the stack runs on this machine's AWS emulator."""
        return self.port is not None

    @cache  # noqa: B019 - an instance lives as long as the command
    def client(self, service: str) -> Any:
        """Return a boto3 client of an AWS service, e.g. "sqs"."""
        if self.port is None:
            account: Any = boto3.Session()
            return account.client(service)
        if not run_directory(self.port).exists():
            advice = "start it with make dev, or name a stack on AWS with --stack"
            raise StepFailed("connect", f"no stack runs on port {self.port} of this machine", advice)
        emulator: Any = session()
        return emulator.client(service, endpoint_url=f"http://127.0.0.1:{self.port}")

    @cache  # noqa: B019 - an instance lives as long as the command
    def description(self) -> dict[str, Any]:
        """Return CloudFormation's description of the stack."""
        try:
            stacks: list[dict[str, Any]] = self.client("cloudformation").describe_stacks(StackName=self.name)["Stacks"]
        except (BotoCoreError, ClientError) as error:
            advice = "check --stack NAME, and use the same credentials and region as for cdk deploy"
            raise StepFailed(self.name, str(error), advice) from None
        return stacks[0]

    def outputs(self) -> dict[str, str]:
        """Return the outputs of the stack by name."""
        return {output["OutputKey"]: output["OutputValue"] for output in self.description().get("Outputs", [])}

    @property
    def websocket_url(self) -> str:
        """The URL that clients connect to."""
        return self.outputs()["WebSocketUrl"] if self.port is None else local_websocket_url(self.port)

    @property
    def http_url(self) -> str:
        """The URL of the HTTP API; empty if the stack has none."""
        return self.outputs().get("HttpUrl", "") if self.port is None else local_http_url(self.port)

    def resources(self, type_: str) -> Iterator[tuple[str, str]]:
        """Yield the logical and the physical id of each resource of a type."""
        pages = self.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=self.name)
        for resource in (resource for page in pages for resource in page["StackResourceSummaries"]):
            if resource["ResourceType"] == type_:
                yield resource["LogicalResourceId"], resource["PhysicalResourceId"]

    def resource(self, type_: str, prefix: str) -> str:
        """Return the physical id of the resource of a type whose logical id begins with `prefix`."""
        for logical_id, physical_id in self.resources(type_):
            if logical_id.startswith(prefix):
                return physical_id
        raise StepFailed(self.name, f"it has no {type_} {prefix}…", "deploy the stack with this version of Chaincast")
