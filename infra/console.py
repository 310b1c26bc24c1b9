"""The live console (optional): a page on CloudFront, which shows what the stack delivers."""

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


class ConsoleNotBuilt(SystemExit):
    """The page could not be built; why was printed."""


class LiveConsole(Construct):
    """A private bucket, and the distribution that alone reads it. Where the stack is, config.json tells the page."""

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
            removal_policy=RemovalPolicy.DESTROY,  # emptied by the deployment: it can be made anew
        )
        acknowledge(bucket, "S1", "A public page's files: who reads them is of no interest.")
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
        acknowledge(distribution, "CFR1", "Who may connect to the stack, [access] says; the page itself is no secret.")
        acknowledge(distribution, "CFR2", "Static files without a server behind them: nothing for a firewall to guard.")
        acknowledge(distribution, "CFR3", "A public page's files: who reads them is of no interest.")
        acknowledge(distribution, "CFR4", "CloudFront's own name comes with CloudFront's own certificate and its TLS.")
        self.origin = f"https://{distribution.distribution_domain_name}"
        log_group = logs.LogGroup(self, "Logs", retention=log_retention, removal_policy=RemovalPolicy.DESTROY)
        files = deployment.BucketDeployment(
            self,
            "Deployment",
            destination_bucket=bucket,
            retain_on_delete=False,
            # What changed is seen within a minute; to drop copies by hand would take a right over every distribution.
            cache_control=[deployment.CacheControl.max_age(Duration.minutes(1))],
            log_group=log_group,
            sources=[
                deployment.Source.asset(str(built())),
                deployment.Source.json_data(
                    "config.json", {"url": websocket_url, "networks": [*networks], "auth": auth}
                ),
            ],
        )
        _acknowledge_provider(files, bucket)


def _acknowledge_provider(files: deployment.BucketDeployment, bucket: s3.Bucket) -> None:
    """AWS's own function that copies files, as aws-cdk-lib has it: it runs during deployments only."""
    provider = files.handler_role.node.scope
    assert provider is not None
    stack = Stack.of(bucket)
    name = stack.get_logical_id(cast(CfnElement, bucket.node.default_child))
    assets = f"cdk-{stack.synthesizer.bootstrap_qualifier}-assets-<AWS::AccountId>-<AWS::Region>"
    role = "arn:<AWS::Partition>:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"
    acknowledge(provider, "L1", "aws-cdk-lib says which runtime its own function has.")
    acknowledge(
        provider, f"IAM4[Policy::{role}]", "aws-cdk-lib gives its own function the right to log by this policy."
    )
    for action in ("Abort", "DeleteObject", "GetBucket", "GetObject", "List"):
        acknowledge(provider, f"IAM5[Action::s3:{action}*]", "aws-cdk-lib's own grants, on these two buckets alone.")
    for objects in (f"<{name}.Arn>/*", f"arn:<AWS::Partition>:s3:::{assets}/*"):
        acknowledge(provider, f"IAM5[Resource::{objects}]", "The files of the page, by whatever name.")


def built() -> Path:
    """The page's files, made now. Ends the synthesis where that fails."""
    command = ["node", str(ROOT / "console" / "build.mjs"), str(BUILD)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ConsoleNotBuilt(f"chaincast: the console could not be built (make setup?)\n{done.stderr.strip()}")
    return BUILD
