"""Alarms on what must not happen unnoticed. (The dashboard and the rest come with the metrics they show.)"""

from __future__ import annotations

from collections.abc import Mapping

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sqs as sqs
from constructs import Construct


class Observability(Construct):
    """Alarms: dead letters, a late fan-out, failing functions."""

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        dead_letters: Mapping[str, sqs.Queue],
        fanout_queue: sqs.Queue,
        functions: Mapping[str, lambda_.Function],
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
