"""The archive (optional): an S3 bucket, and the scheduled function that copies the event log to it."""

from __future__ import annotations

from typing import cast

from aws_cdk import CfnElement, Duration, RemovalPolicy, Stack
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_s3 as s3
from constructs import Construct

from infra.functions import FunctionFactory, allow
from infra.nag import acknowledge
from infra.settings import ArchiveSettings
from infra.storage import Storage


class Archive(Construct):
    """Bucket, function and schedule. The bucket outlives the stack, except where `removal_policy` says otherwise."""

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        storage: Storage,
        functions: FunctionFactory,
        settings: ArchiveSettings,
        removal_policy: RemovalPolicy,
    ) -> None:
        super().__init__(scope, id_)
        days = settings["retention_days"]
        self.bucket = s3.Bucket(
            self,
            "Bucket",
            encryption=s3.BucketEncryption.S3_MANAGED,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            enforce_ssl=True,
            removal_policy=removal_policy,
            lifecycle_rules=[s3.LifecycleRule(expiration=Duration.days(days))] if days else None,
        )
        acknowledge(self.bucket, "S1", "Only the archive function writes to this bucket, and it logs every object.")
        self.function = functions.make(
            self,
            "Function",
            "archive",
            environment={
                "CHAINCAST_LOG_TABLE": storage.log.table_name,
                "CHAINCAST_STATE_TABLE": storage.state.table_name,
                "CHAINCAST_ARCHIVE_BUCKET": self.bucket.bucket_name,
            },
            timeout=Duration.seconds(240),
            memory_mb=1024,
        )
        allow(self.function, [storage.log.table_arn], "dynamodb:Query")
        allow(self.function, [storage.state.table_arn], "dynamodb:GetItem", "dynamodb:UpdateItem")
        objects = self.bucket.arn_for_objects("source=*")
        allow(self.function, [objects], "s3:PutObject")
        assert self.function.role is not None
        bucket = Stack.of(self).get_logical_id(cast(CfnElement, self.bucket.node.default_child))
        acknowledge(
            self.function.role,
            f"IAM5[Resource::<{bucket}.Arn>/source=*]",
            "Object names begin with `source=` and contain source and cursor, which are not known at deployment.",
        )
        events.Rule(
            self,
            "Schedule",
            description="Chaincast: copy the event log to the archive",
            schedule=events.Schedule.rate(Duration.minutes(5)),
            targets=[targets.LambdaFunction(self.function, retry_attempts=1)],
        )
