"""The live console (optional): a web page on CloudFront that shows the events of the stack."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import cast

from aws_cdk import CfnElement, Duration, RemovalPolicy, Stack
from aws_cdk import aws_cloudfront as cloudfront
from aws_cdk import aws_cloudfront_origins as origins
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_s3_deployment as deployment
from constructs import Construct

from infra.nag import acknowledge
from infra.settings import ROOT

BUILD = ROOT / ".build" / "console"


class ConsoleBuildFailed(SystemExit):
    """Building the page failed. The message contains the output of the build."""


class LiveConsole(Construct):
    """A private bucket with the page's files, and the CloudFront distribution that is its only reader.

    The page reads the URL of the stack from config.json, which this construct writes to the bucket.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        websocket_url: str,
        networks: Sequence[str],
        auth: str,
        log_retention: logs.RetentionDays,
    ) -> None:
        super().__init__(scope, id_)
        bucket = s3.Bucket(
            self,
            "Files",
            encryption=s3.BucketEncryption.S3_MANAGED,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            enforce_ssl=True,
            removal_policy=RemovalPolicy.DESTROY,  # every deployment can write its files again
        )
        acknowledge(bucket, "S1", "The bucket holds files of a public page: reads need no access log.")
        distribution = cloudfront.Distribution(
            self,
            "Distribution",
            comment="Chaincast: live console",
            default_root_object="index.html",
            price_class=cloudfront.PriceClass.PRICE_CLASS_100,
            default_behavior=cloudfront.BehaviorOptions(
                origin=origins.S3BucketOrigin.with_origin_access_control(bucket),
                viewer_protocol_policy=cloudfront.ViewerProtocolPolicy.REDIRECT_TO_HTTPS,
                response_headers_policy=cloudfront.ResponseHeadersPolicy.SECURITY_HEADERS,
            ),
        )
        acknowledge(distribution, "CFR1", "Section [access] restricts who may connect; the page itself is public.")
        acknowledge(distribution, "CFR2", "The files are static and no server is behind them: a firewall adds nothing.")
        acknowledge(distribution, "CFR3", "The files are those of a public page: reads need no access log.")
        acknowledge(
            distribution, "CFR4", "The default domain name of CloudFront implies its certificate and TLS policy."
        )
        self.origin = f"https://{distribution.distribution_domain_name}"
        log_group = logs.LogGroup(self, "Logs", retention=log_retention, removal_policy=RemovalPolicy.DESTROY)
        files = deployment.BucketDeployment(
            self,
            "Deployment",
            destination_bucket=bucket,
            retain_on_delete=False,
            # Changes are visible within a minute. Invalidating cached copies would need a permission on every
            # distribution of the account.
            cache_control=[deployment.CacheControl.max_age(Duration.minutes(1))],
            log_group=log_group,
            sources=[
                deployment.Source.asset(str(build_console())),
                deployment.Source.json_data(
                    "config.json", {"url": websocket_url, "networks": [*networks], "auth": auth}
                ),
            ],
        )
        _acknowledge_provider(files, bucket)


def _acknowledge_provider(files: deployment.BucketDeployment, bucket: s3.Bucket) -> None:
    """Acknowledge the rules that the file-copying function of aws-cdk-lib breaks. It runs only during deployments."""
    provider = files.handler_role.node.scope
    assert provider is not None
    stack = Stack.of(bucket)
    name = stack.get_logical_id(cast(CfnElement, bucket.node.default_child))
    assets = f"cdk-{stack.synthesizer.bootstrap_qualifier}-assets-<AWS::AccountId>-<AWS::Region>"
    role = "arn:<AWS::Partition>:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"
    acknowledge(provider, "L1", "aws-cdk-lib chooses the runtime of its own function.")
    acknowledge(provider, f"IAM4[Policy::{role}]", "aws-cdk-lib uses this policy to let its own function write logs.")
    for action in ("Abort", "DeleteObject", "GetBucket", "GetObject", "List"):
        acknowledge(provider, f"IAM5[Action::s3:{action}*]", "aws-cdk-lib grants these actions on two buckets only.")
    for objects in (f"<{name}.Arn>/*", f"arn:<AWS::Partition>:s3:::{assets}/*"):
        acknowledge(provider, f"IAM5[Resource::{objects}]", "The names of the page's files may change.")


def build_console() -> Path:
    """Build the page now and return the directory of its files. Raises `ConsoleBuildFailed`."""
    command = ["node", str(ROOT / "console" / "build.mjs"), str(BUILD)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ConsoleBuildFailed(
            f"chaincast: building the live console failed; run make setup first\n{done.stderr.strip()}"
        )
    return BUILD
