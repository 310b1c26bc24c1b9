"""CloudWatch alarms, and the SNS topic that they notify."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from aws_cdk import Duration, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.metrics import ONE_MINUTE, function_metric, listener_metric

FIVE_MINUTES = Duration.minutes(5)
SLOW_SHARE = 0.8
"""Share of a function's timeout. An invocation that takes longer is close to being aborted."""


class Alarms(Construct):
    """One alarm for each failure that needs attention. All of them notify the same SNS topic."""

    def __init__(self, scope: Construct, id_: str, *, emails: Iterable[str]) -> None:
        super().__init__(scope, id_)
        self.topic = sns.Topic(self, "Topic", display_name="Chaincast", enforce_ssl=True)
        # `enforce_ssl` makes a topic policy, which replaces the default one that lets the account's alarms publish.
        account = {"StringEquals": {"aws:SourceAccount": Stack.of(self).account}}
        self.topic.grant_publish(iam.ServicePrincipal("cloudwatch.amazonaws.com", conditions=account))
        for email in emails:
            self.topic.add_subscription(subscriptions.EmailSubscription(email))
        self.all: list[cloudwatch.Alarm] = []

    def add_dead_letter_alarms(self, queues: Mapping[str, sqs.Queue]) -> None:
        """Add an alarm for each dead-letter queue that holds a message."""
        for name, queue in queues.items():
            self._add(
                f"{name}DeadLetters",
                queue.metric_approximate_number_of_messages_visible(period=ONE_MINUTE),
                1,
                f"the dead-letter queue of the {name.lower()} function holds messages; show or move them with "
                "`chaincast redrive`",
            )

    def add_delivery_alarms(self, queue: sqs.Queue) -> None:
        """Add the alarms of fan-out: late batches, deferred posts, throttled posts."""
        self._add(
            "FanoutLate",
            queue.metric_approximate_age_of_oldest_message(period=ONE_MINUTE, statistic="Maximum"),
            30,
            "the oldest batch has waited more than 30 s in the fan-out queue",
        )
        self._add(
            "PostsDeferred",
            function_metric("PostsDeferred", "fanout", FIVE_MINUTES),
            100,
            "in five minutes, posts to 100 or more connections failed and will be retried",
        )
        self._add(
            "PostsThrottled",
            function_metric("PostsThrottled", "fanout", FIVE_MINUTES),
            1000,
            "API Gateway throttled 1000 or more posts in five minutes; its request quota may be too low "
            "(docs/scaling.md)",
            periods=3,
        )

        self._add(
            "PostsRefused",
            function_metric("PostsRefused", "fanout", FIVE_MINUTES),
            1,
            "API Gateway refused messages that a retry does not deliver either; the log of the fan-out function says "
            "why (`messages dropped`)",
        )
        self._add(
            "PostsForbidden",
            function_metric("PostsForbidden", "fanout", FIVE_MINUTES),
            1,
            "API Gateway refused posts with status 401 or 403 and they are retried; check the role of the fan-out "
            "function, service control policies and the management endpoint",
        )

    def add_function_alarms(self, functions: Mapping[str, lambda_.Function]) -> None:
        """Add alarms for functions that fail, are throttled, or nearly time out."""
        for name, function in functions.items():
            prefix = name.capitalize()
            self._add(
                f"{prefix}Errors",
                function.metric_errors(period=FIVE_MINUTES),
                1,
                f"invocations of functions/{name}.py fail",
            )
            self._add(
                f"{prefix}Throttled",
                function.metric_throttles(period=FIVE_MINUTES),
                1,
                f"functions/{name}.py is throttled: the account's Lambda concurrency is used up",
            )
            assert function.timeout is not None
            limit = function.timeout.to_milliseconds() * SLOW_SHARE
            self._add(
                f"{prefix}Slow",
                function.metric_duration(period=FIVE_MINUTES, statistic="Maximum"),
                limit,
                f"functions/{name}.py took more than {limit / 1000:g} s, which is {SLOW_SHARE:.0%} of its timeout",
                periods=2,
            )

    def add_listener_alarms(self, networks: Iterable[str]) -> None:
        """Add alarms for listeners that stopped, report nothing, or are late."""
        for network in networks:
            prefix = "".join(part.capitalize() for part in network.split("-"))
            self._add(
                f"{prefix}Stopped",
                listener_metric("ListenerStopped", network, FIVE_MINUTES, "Sum"),
                1,
                f"the listener of {network} stopped and needs an operator; its log has the reason (a reorganisation "
                "deeper than finality_depth, a node of another chain, or an invalid configuration)",
            )
            self._add(
                f"{prefix}Silent",
                listener_metric("HeadLagSeconds", network, FIVE_MINUTES, "SampleCount"),
                1,
                f"the listener of {network} has sent no metrics for 15 minutes; check that its service is running",
                periods=3,
                alarm_on_silence=True,
            )
            self._add(
                f"{prefix}Late",
                listener_metric("HeadLagSeconds", network, FIVE_MINUTES, "Minimum"),
                120,
                f"for five minutes, the newest written block of {network} has been more than two minutes old",
            )

    def _add(
        self,
        id_: str,
        metric: cloudwatch.IMetric,
        threshold: float,
        description: str,
        *,
        periods: int = 1,
        alarm_on_silence: bool = False,
    ) -> None:
        """Add an alarm that rings at or above the threshold.

        With `alarm_on_silence` it rings below the threshold instead, and also if the metric has no data.
        """
        comparison = cloudwatch.ComparisonOperator
        alarm = cloudwatch.Alarm(
            self,
            id_,
            metric=metric,
            threshold=threshold,
            evaluation_periods=periods,
            comparison_operator=comparison.LESS_THAN_THRESHOLD
            if alarm_on_silence
            else comparison.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
            treat_missing_data=cloudwatch.TreatMissingData.BREACHING
            if alarm_on_silence
            else cloudwatch.TreatMissingData.NOT_BREACHING,
            alarm_description=f"Chaincast: {description}",
        )
        action = actions.SnsAction(self.topic)
        alarm.add_alarm_action(action)
        alarm.add_ok_action(action)
        self.all.append(alarm)
