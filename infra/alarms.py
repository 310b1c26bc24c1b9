"""Alarms on what must not happen unnoticed, and whom they tell."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.metrics import ONE_MINUTE, figure, of_listener

FIVE_MINUTES = Duration.minutes(5)
NEAR_THE_END = 0.8
"""Of a function's time: what takes longer will soon not be done at all."""


class Alarms(Construct):
    """One for each thing that can go wrong; all tell one topic."""

    def __init__(self, scope: Construct, id_: str, *, emails: Iterable[str]) -> None:
        super().__init__(scope, id_)
        self.topic = sns.Topic(self, "Topic", display_name="Chaincast", enforce_ssl=True)
        for email in emails:
            self.topic.add_subscription(subscriptions.EmailSubscription(email))
        self.all: list[cloudwatch.Alarm] = []

    def on_dead_letters(self, queues: Mapping[str, sqs.Queue]) -> None:
        for name, queue in queues.items():
            self._alarm(
                f"{name}DeadLetters",
                queue.metric_approximate_number_of_messages_visible(period=ONE_MINUTE),
                1,
                f"messages that the {name.lower()} function could not handle wait in its dead-letter queue: "
                "chaincast redrive",
            )

    def on_delivery(self, queue: sqs.Queue) -> None:
        """A late fan-out, and one that cannot post."""
        self._alarm(
            "FanoutLate",
            queue.metric_approximate_age_of_oldest_message(period=ONE_MINUTE, statistic="Maximum"),
            30,
            "the oldest batch has waited more than 30 s for its delivery",
        )
        self._alarm(
            "PostsLeft",
            figure("PostsLeft", "fanout", FIVE_MINUTES),
            100,
            "a hundred connections and more could not be posted to, in five minutes, and are tried again",
        )
        self._alarm(
            "PostsThrottled",
            figure("PostsThrottled", "fanout", FIVE_MINUTES),
            1000,
            "API Gateway refuses a thousand posts in five minutes: is its quota of calls too low? (docs/scaling.md)",
            periods=3,
        )

    def on_functions(self, functions: Mapping[str, lambda_.Function]) -> None:
        """Functions that fail, are throttled, or run out of time."""
        for name, function in functions.items():
            called = name.capitalize()
            self._alarm(
                f"{called}Errors",
                function.metric_errors(period=FIVE_MINUTES),
                1,
                f"invocations of functions/{name}.py fail",
            )
            self._alarm(
                f"{called}Throttled",
                function.metric_throttles(period=FIVE_MINUTES),
                1,
                f"functions/{name}.py is wanted more often at once than the account's Lambda concurrency allows",
            )
            assert function.timeout is not None
            limit = function.timeout.to_milliseconds() * NEAR_THE_END
            self._alarm(
                f"{called}Slow",
                function.metric_duration(period=FIVE_MINUTES, statistic="Maximum"),
                limit,
                f"functions/{name}.py took more than {limit / 1000:g} s, four fifths of its time",
                periods=2,
            )

    def on_listeners(self, networks: Iterable[str]) -> None:
        """Listeners that ended, are silent, or are late."""
        for network in networks:
            name = "".join(part.capitalize() for part in network.split("-"))
            self._alarm(
                f"{name}Stopped",
                of_listener("ListenerStopped", network, FIVE_MINUTES, "Sum"),
                1,
                f"the listener of {network} stopped and needs a person: its log says why (a reorganisation deeper than "
                "finality_depth, a node of another chain, a configuration that cannot be used)",
            )
            self._alarm(
                f"{name}Silent",
                of_listener("HeadLagSeconds", network, FIVE_MINUTES, "SampleCount"),
                1,
                f"the listener of {network} has said nothing for a quarter of an hour: does it run?",
                periods=3,
                silent=True,
            )
            self._alarm(
                f"{name}Late",
                of_listener("HeadLagSeconds", network, FIVE_MINUTES, "Minimum"),
                120,
                f"the newest block of {network} that was written is two minutes old, for five minutes",
            )

    def _alarm(
        self,
        id_: str,
        metric: cloudwatch.IMetric,
        threshold: float,
        description: str,
        *,
        periods: int = 1,
        silent: bool = False,
    ) -> None:
        """At the threshold or above it; with `silent`, below it, and when there is no figure at all."""
        comparison = cloudwatch.ComparisonOperator
        alarm = cloudwatch.Alarm(
            self,
            id_,
            metric=metric,
            threshold=threshold,
            evaluation_periods=periods,
            comparison_operator=comparison.LESS_THAN_THRESHOLD
            if silent
            else comparison.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
            treat_missing_data=cloudwatch.TreatMissingData.BREACHING
            if silent
            else cloudwatch.TreatMissingData.NOT_BREACHING,
            alarm_description=f"Chaincast: {description}",
        )
        action = actions.SnsAction(self.topic)
        alarm.add_alarm_action(action)
        alarm.add_ok_action(action)
        self.all.append(alarm)
