"""Alarms and the dashboard."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.alarms import Alarms
from infra.dashboard import Dashboard


class Observability(Construct):
    """Alarms and dashboard of one stack. `networks`: the networks whose listeners run in this stack."""

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        fanout_queue: sqs.Queue,
        lifecycle_queue: sqs.Queue,
        dead_letters: Mapping[str, sqs.Queue],
        functions: Mapping[str, lambda_.Function],
        tables: Mapping[str, dynamodb.TableV2],
        networks: Sequence[str],
        emails: Sequence[str],
    ) -> None:
        super().__init__(scope, id_)
        self.alarms = Alarms(self, "Alarms", emails=emails)
        self.alarms.add_dead_letter_alarms(dead_letters)
        self.alarms.add_delivery_alarms(fanout_queue)
        self.alarms.add_function_alarms(functions)
        self.alarms.add_listener_alarms(networks)
        Dashboard(
            self,
            "Dashboard",
            alarms=self.alarms.all,
            functions=functions,
            queues={
                "Fanout": fanout_queue,
                "Lifecycle": lifecycle_queue,
                **{f"{name} (dead)": queue for name, queue in dead_letters.items()},
            },
            tables=tables,
            networks=networks,
        )
