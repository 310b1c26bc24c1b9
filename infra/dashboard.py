"""The CloudWatch dashboard: delivery, latency and throttling first, then clients, chains, functions and queues."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import product

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.metrics import ONE_MINUTE, function_metric, listener_metric

WIDTH = 24


class Dashboard(Construct):
    """Rows of graphs, the most important first, below the state of all alarms."""

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
        self._add_row(_deliveries(), _latency(queues), _throttled(functions, tables))
        self._add_row(_connections(), _messages(), _refused())
        self._add_row(*_chains(networks))
        self._add_row(_durations(functions), _errors(functions), _depths(queues))

    def _add_row(self, *graphs: cloudwatch.GraphWidget) -> None:
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


def _deliveries() -> cloudwatch.GraphWidget:
    return _graph(
        "Deliveries",
        [
            function_metric("PostsDelivered", "fanout", label="posts delivered"),
            function_metric("EventsDelivered", "fanout", label="events"),
        ],
        [function_metric("Batches", "fanout", label="batches")],
        unit="a minute",
    )


def _latency(queues: Mapping[str, sqs.Queue]) -> cloudwatch.GraphWidget:
    percentiles = [function_metric("FanoutSeconds", "fanout", statistic=p, label=p) for p in ("p50", "p95", "p99")]
    oldest = queues["Fanout"].metric_approximate_age_of_oldest_message(
        period=ONE_MINUTE, statistic="Maximum", label="oldest message in the queue"
    )
    return _graph("Fan-out latency (queue to last post)", [*percentiles, oldest], unit="seconds")


def _throttled(
    functions: Mapping[str, lambda_.Function], tables: Mapping[str, dynamodb.TableV2]
) -> cloudwatch.GraphWidget:
    lambdas = {f"f{n}": f.metric_throttles(period=ONE_MINUTE) for n, f in enumerate(functions.values())}
    requests = {
        f"t{number}": cloudwatch.Metric(
            namespace="AWS/DynamoDB",
            metric_name=f"{access}ThrottleEvents",
            dimensions_map={"TableName": table.table_name},
            period=ONE_MINUTE,
            statistic="Sum",
        )
        for number, (table, access) in enumerate(product(tables.values(), ("Read", "Write")))
    }
    return _graph(
        "Throttled requests",
        [
            function_metric("PostsThrottled", "fanout", label="posts (API Gateway)"),
            _sum(lambdas, "functions (Lambda)"),
            _sum(requests, "tables (DynamoDB)"),
        ],
        unit="a minute",
    )


def _sum(metrics: Mapping[str, cloudwatch.IMetric], label: str) -> cloudwatch.MathExpression:
    """Return the sum of the metrics as one line of a graph."""
    return cloudwatch.MathExpression(
        expression=" + ".join(f"FILL({name}, 0)" for name in metrics),
        using_metrics={**metrics},
        period=ONE_MINUTE,
        label=label,
    )


def _connections() -> cloudwatch.GraphWidget:
    closed = [
        function_metric("ConnectionsClosed", service, label=f"closed ({service})")
        for service in ("disconnect", "fanout")
    ]
    return _graph(
        "Connections",
        [function_metric("ConnectionsOpened", "connect", label="opened"), *closed],
        [function_metric("ConnectionsRefused", "connect", label="refused")],
        unit="a minute",
    )


def _messages() -> cloudwatch.GraphWidget:
    return _graph(
        "Messages from clients",
        [
            function_metric("MessagesIn", "message", label="messages"),
            function_metric("Errors", "message", label="answered by an error"),
        ],
        unit="a minute",
    )


def _refused() -> cloudwatch.GraphWidget:
    limits = [
        function_metric("RateLimitHits", service, label=f"limits ({service})") for service in ("connect", "message")
    ]
    failures = [
        function_metric("AuthenticationsAuthFailed", "connect", label="tokens refused"),
        function_metric("AuthenticationsAuthUnavailable", "connect", label="auth service down"),
    ]
    return _graph("Rate limits and authentication", [*limits, *failures], unit="a minute")


def _chains(networks: Sequence[str]) -> list[cloudwatch.GraphWidget]:
    if not networks:
        return []
    return [
        _graph(
            "Age of the newest block", [listener_metric("HeadLagSeconds", n, label=n) for n in networks], unit="seconds"
        ),
        _graph(
            "Events",
            [listener_metric("EventsPerSecond", n, statistic="Average", label=n) for n in networks],
            unit="a second",
        ),
        _graph(
            "Reorganisations and failovers",
            [listener_metric("Reorgs", n, statistic="Sum", label=f"{n}: reorgs") for n in networks],
            [listener_metric("Failovers", n, statistic="Sum", label=f"{n}: failovers") for n in networks],
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
    return _graph("Messages in queues", depths, unit="messages")
