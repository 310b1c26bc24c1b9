"""A deployed stack as its owner sees it: on this machine (`--port`), or in the AWS account of the environment."""

from __future__ import annotations

import argparse
from functools import cache
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from local.commands.tail import local_url
from local.stack.administrator import session
from local.stack.deployment import STACK, local_http_url, run_directory
from local.stack.tools import StepFailed


class Deployed:
    """One stack. Every method raises `StepFailed` where AWS does not answer."""

    def __init__(self, stack: str, port: int | None) -> None:
        self.stack = stack
        self.port = port

    @classmethod
    def of(cls, options: argparse.Namespace) -> Deployed:
        """Of `--stack`, if it is given; else the one that runs on this machine."""
        return cls(options.stack or STACK, None if options.stack else options.port)

    @cache  # noqa: B019 - lives as long as the command
    def client(self, service: str) -> Any:
        """A client of one of AWS's services."""
        if self.port is None:
            made: Any = boto3.Session()
            return made.client(service)
        if not run_directory(self.port).exists():
            raise StepFailed(
                "connect", f"no stack runs on port {self.port} of this machine", "make dev, or --stack NAME"
            )
        local: Any = session()
        return local.client(service, endpoint_url=f"http://127.0.0.1:{self.port}")

    @cache  # noqa: B019 - as above
    def description(self) -> dict[str, Any]:
        """What CloudFormation says of it."""
        try:
            found: dict[str, Any] = self.client("cloudformation").describe_stacks(StackName=self.stack)["Stacks"][0]
        except (BotoCoreError, ClientError) as error:
            advice = "--stack NAME, credentials and region as for cdk deploy"
            raise StepFailed(self.stack, str(error), advice) from None
        return found

    def outputs(self) -> dict[str, str]:
        return {output["OutputKey"]: output["OutputValue"] for output in self.description().get("Outputs", [])}

    @property
    def websocket_url(self) -> str:
        return self.outputs()["WebSocketUrl"] if self.port is None else local_url(self.port)

    @property
    def http_url(self) -> str:
        """Of the HTTP API; empty where there is none."""
        return self.outputs().get("HttpUrl", "") if self.port is None else local_http_url(self.port)

    def resource(self, type_: str, name: str) -> str:
        """What AWS calls a resource whose logical id begins so."""
        pages = self.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=self.stack)
        for page in pages:
            for found in page["StackResourceSummaries"]:
                if found["ResourceType"] == type_ and found["LogicalResourceId"].startswith(name):
                    return str(found["PhysicalResourceId"])
        raise StepFailed(self.stack, f"it has no {type_} {name}…", "was it deployed by this version?")
