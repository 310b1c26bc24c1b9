"""The dashboard: is it delivering, how late, who is throttled; then what came in, and what everything is made of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import product

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.metrics import ONE_MINUTE, figure, of_listener

WIDTH = 24


class Dashboard(Construct):
    """Rows of graphs, the most important first; the alarms above all."""

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        alarms: Sequence[cloudwatch.Alarm],
        functions: Mapping[str, lambda_.Function],
        queues: Mapping[str, sqs.Queue],
        tables: Mapping[str, dynamodb.TableV2],
        networks: Sequence[str],
    ) -> None:
        super().__init__(scope, id_)
        self._dashboard = cloudwatch.Dashboard(
            self, "Dashboard", period_override=cloudwatch.PeriodOverride.INHERIT, default_interval=Duration.hours(3)
        )
        self._dashboard.add_widgets(
            cloudwatch.AlarmStatusWidget(title="Alarms", alarms=[*alarms], width=WIDTH, height=4)
        )
        self._row(_delivering(), _late(queues), _throttled(functions, tables))
        self._row(_connections(), _messages(), _refused())
        self._row(*_chains(networks))
        self._row(_durations(functions), _errors(functions), _depths(queues))

    def _row(self, *graphs: cloudwatch.GraphWidget) -> None:
        if graphs:
            self._dashboard.add_widgets(*graphs)


def _graph(
    title: str, left: Iterable[cloudwatch.IMetric], right: Iterable[cloudwatch.IMetric] = (), *, unit: str, of: int = 3
) -> cloudwatch.GraphWidget:
    return cloudwatch.GraphWidget(
        title=title,
        left=[*left],
        right=[*right],
        left_y_axis=cloudwatch.YAxisProps(min=0, label=unit, show_units=False),
        right_y_axis=cloudwatch.YAxisProps(min=0, show_units=False),
        width=WIDTH // of,
        height=7,
        legend_position=cloudwatch.LegendPosition.BOTTOM,
    )


def _delivering() -> cloudwatch.GraphWidget:
    return _graph(
        "Is it delivering?",
        [
            figure("PostsDelivered", "fanout", label="posts delivered"),
            figure("EventsDelivered", "fanout", label="events"),
        ],
        [figure("Batches", "fanout", label="batches")],
        unit="a minute",
    )


def _late(queues: Mapping[str, sqs.Queue]) -> cloudwatch.GraphWidget:
    percentiles = [figure("FanoutSeconds", "fanout", statistic=p, label=p) for p in ("p50", "p95", "p99")]
    oldest = queues["Fanout"].metric_approximate_age_of_oldest_message(
        period=ONE_MINUTE, statistic="Maximum", label="oldest in the queue"
    )
    return _graph("How late? (queue to last post)", [*percentiles, oldest], unit="seconds")


def _throttled(
    functions: Mapping[str, lambda_.Function], tables: Mapping[str, dynamodb.TableV2]
) -> cloudwatch.GraphWidget:
    lambdas = {f"f{n}": f.metric_throttles(period=ONE_MINUTE) for n, f in enumerate(functions.values())}
    requests = {
        f"t{number}": cloudwatch.Metric(
            namespace="AWS/DynamoDB",
            metric_name=f"{way}ThrottleEvents",
            dimensions_map={"TableName": table.table_name},
            period=ONE_MINUTE,
            statistic="Sum",
        )
        for number, (table, way) in enumerate(product(tables.values(), ("Read", "Write")))
    }
    return _graph(
        "Who is throttled?",
        [
            figure("PostsThrottled", "fanout", label="posts (API Gateway)"),
            _sum(lambdas, "functions (Lambda)"),
            _sum(requests, "tables (DynamoDB)"),
        ],
        unit="a minute",
    )


def _sum(metrics: Mapping[str, cloudwatch.IMetric], label: str) -> cloudwatch.MathExpression:
    """All of these as one line."""
    return cloudwatch.MathExpression(
        expression=" + ".join(f"FILL({name}, 0)" for name in metrics),
        using_metrics={**metrics},
        period=ONE_MINUTE,
        label=label,
    )


def _connections() -> cloudwatch.GraphWidget:
    ended = [figure("ConnectionsClosed", service, label=f"closed ({service})") for service in ("disconnect", "fanout")]
    return _graph(
        "Connections",
        [figure("ConnectionsOpened", "connect", label="opened"), *ended],
        [figure("ConnectionsRefused", "connect", label="refused")],
        unit="a minute",
    )


def _messages() -> cloudwatch.GraphWidget:
    return _graph(
        "Messages from clients",
        [figure("MessagesIn", "message", label="messages"), figure("Errors", "message", label="answered by an error")],
        unit="a minute",
    )


def _refused() -> cloudwatch.GraphWidget:
    limits = [figure("RateLimitHits", service, label=f"limits ({service})") for service in ("connect", "message")]
    proofs = [
        figure("AuthenticationsAuthFailed", "connect", label="tokens refused"),
        figure("AuthenticationsAuthUnavailable", "connect", label="auth service down"),
    ]
    return _graph("Limits and proofs", [*limits, *proofs], unit="a minute")


def _chains(networks: Sequence[str]) -> list[cloudwatch.GraphWidget]:
    if not networks:
        return []
    return [
        _graph(
            "Age of the newest block", [of_listener("HeadLagSeconds", n, label=n) for n in networks], unit="seconds"
        ),
        _graph(
            "Events",
            [of_listener("EventsPerSecond", n, statistic="Average", label=n) for n in networks],
            unit="a second",
        ),
        _graph(
            "Reorganisations and failovers",
            [of_listener("Reorgs", n, statistic="Sum", label=f"{n}: reorgs") for n in networks],
            [of_listener("Failovers", n, statistic="Sum", label=f"{n}: failovers") for n in networks],
            unit="a minute",
        ),
    ]


def _durations(functions: Mapping[str, lambda_.Function]) -> cloudwatch.GraphWidget:
    durations = [f.metric_duration(period=ONE_MINUTE, statistic="p95", label=name) for name, f in functions.items()]
    return _graph("Functions: duration, p95", durations, unit="milliseconds")


def _errors(functions: Mapping[str, lambda_.Function]) -> cloudwatch.GraphWidget:
    errors = [function.metric_errors(period=ONE_MINUTE, label=name) for name, function in functions.items()]
    return _graph("Functions: errors", errors, unit="a minute")


def _depths(queues: Mapping[str, sqs.Queue]) -> cloudwatch.GraphWidget:
    depths = [
        queue.metric_approximate_number_of_messages_visible(period=ONE_MINUTE, statistic="Maximum", label=name)
        for name, queue in queues.items()
    ]
    return _graph("Messages that wait", depths, unit="messages")
