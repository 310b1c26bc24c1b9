"""Alarms on what must not happen unnoticed. (The dashboard and the rest come with the metrics they show.)"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sqs as sqs
from constructs import Construct


class Observability(Construct):
    """Alarms: dead letters, a late fan-out, failing functions, listeners that stopped or are late."""

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        dead_letters: Mapping[str, sqs.Queue],
        fanout_queue: sqs.Queue,
        functions: Mapping[str, lambda_.Function],
        networks: Iterable[str],
    ) -> None:
        super().__init__(scope, id_)
        for name, queue in dead_letters.items():
            self._alarm(
                f"{name}DeadLetters",
                queue.metric_approximate_number_of_messages_visible(period=Duration.minutes(1)),
                1,
                f"messages that the {name.lower()} function could not handle wait in its dead-letter queue",
            )
        self._alarm(
            "FanoutLate",
            fanout_queue.metric_approximate_age_of_oldest_message(period=Duration.minutes(1), statistic="Maximum"),
            30,
            "the oldest batch has waited more than 30 s for its delivery",
        )
        for name, function in functions.items():
            self._alarm(
                f"{name.capitalize()}Errors",
                function.metric_errors(period=Duration.minutes(5)),
                1,
                f"invocations of functions/{name}.py fail",
            )

        for network in networks:
            name = "".join(part.capitalize() for part in network.split("-"))
            # The listener's own metrics (listener/metrics.py): embedded in its log.
            dimensions = {"service": "listener", "network": network}
            self._alarm(
                f"{name}Stopped",
                cloudwatch.Metric(
                    namespace="Chaincast",
                    metric_name="ListenerStopped",
                    dimensions_map=dimensions,
                    period=Duration.minutes(5),
                    statistic="Sum",
                ),
                1,
                f"the listener of {network} stopped and needs a person: its log says why (a reorganisation deeper than "
                "finality_depth, a node of another chain, a configuration that cannot be used)",
            )
            self._alarm(
                f"{name}Late",
                cloudwatch.Metric(
                    namespace="Chaincast",
                    metric_name="HeadLagSeconds",
                    dimensions_map=dimensions,
                    period=Duration.minutes(5),
                    statistic="Minimum",
                ),
                120,
                f"the newest block of {network} that was written is two minutes old, for five minutes",
            )

    def _alarm(self, id_: str, metric: cloudwatch.Metric, threshold: int, description: str) -> None:
        cloudwatch.Alarm(
            self,
            id_,
            metric=metric,
            threshold=threshold,
            evaluation_periods=1,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
            alarm_description=f"Chaincast: {description}",
        )
