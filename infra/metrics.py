"""CloudWatch metrics of the functions and listeners, for alarms and the dashboard.

Their names repeat those of chaincast/metrics/catalogue.py and listener/metrics.py, because infra imports neither; a
test compares them.
"""

from __future__ import annotations

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch

NAMESPACE = "Chaincast"
ONE_MINUTE = Duration.minutes(1)


def function_metric(
    name: str, function: str, period: Duration = ONE_MINUTE, statistic: str = "Sum", label: str | None = None
) -> cloudwatch.Metric:
    """Return a metric that a function emits.

    Give a label for graphs only: the CDK turns an alarm on a labelled metric into metric math, which the local
    stack's emulator does not support.
    """
    return cloudwatch.Metric(
        namespace=NAMESPACE,
        metric_name=name,
        dimensions_map={"service": function},
        period=period,
        statistic=statistic,
        label=label,
    )


def listener_metric(
    name: str, network: str, period: Duration = ONE_MINUTE, statistic: str = "Maximum", label: str | None = None
) -> cloudwatch.Metric:
    """Return a metric that the listener of a network emits."""
    return cloudwatch.Metric(
        namespace=NAMESPACE,
        metric_name=name,
        dimensions_map={"service": "listener", "network": network},
        period=period,
        statistic=statistic,
        label=label,
    )
