"""The five DynamoDB tables: on-demand capacity, point-in-time recovery, time to live by attribute `expires_at`."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import RemovalPolicy
from aws_cdk import aws_dynamodb as dynamodb
from constructs import Construct

_STRING = dynamodb.AttributeType.STRING
_NUMBER = dynamodb.AttributeType.NUMBER


class Storage(Construct):
    """The tables Connections, Subscriptions, Log, History and State (docs/architecture.md)."""

    def __init__(self, scope: Construct, id_: str, *, removal_policy: RemovalPolicy) -> None:
        super().__init__(scope, id_)
        self._removal_policy = removal_policy
        self.connections = self._table(
            "Connections",
            "connection_id",
            indexes=[
                dynamodb.GlobalSecondaryIndexPropsV2(
                    index_name="by_beat",
                    partition_key=dynamodb.Attribute(name="beat", type=_STRING),
                    sort_key=dynamodb.Attribute(name="seen", type=_NUMBER),
                    projection_type=dynamodb.ProjectionType.KEYS_ONLY,
                )
            ],
        )
        self.subscriptions = self._table("Subscriptions", "topic_shard", "connection_id")
        self.log = self._table("Log", "source", "cursor")
        self.history = self._table("History", "topic", "position")
        self.state = self._table("State", "key", "sort")

    def _table(
        self,
        name: str,
        partition_key: str,
        sort_key: str | None = None,
        indexes: Sequence[dynamodb.GlobalSecondaryIndexPropsV2] = (),
    ) -> dynamodb.TableV2:
        return dynamodb.TableV2(
            self,
            name,
            partition_key=dynamodb.Attribute(name=partition_key, type=_STRING),
            sort_key=dynamodb.Attribute(name=sort_key, type=_STRING) if sort_key else None,
            billing=dynamodb.Billing.on_demand(),
            point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
                point_in_time_recovery_enabled=True
            ),
            time_to_live_attribute="expires_at",
            global_secondary_indexes=list(indexes) or None,
            removal_policy=self._removal_policy,
        )
