"""Checks of `chaincast doctor` that only a deployed stack in an AWS account can answer."""

from __future__ import annotations

import math
import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from botocore.exceptions import ClientError

from chaincast.config.load import load
from chaincast.errors import ConfigError
from local.findings import Finding
from local.stack.checkout import ROOT
from local.stack.deployed_stack import DeployedStack

TIMEOUT_SECONDS = 15.0
CERTIFICATE_DAYS = 14
"""Days before its end in which a certificate should have been renewed. ACM renews 60 days before."""

ALARM_SECONDS = 60.0
"""Maximum seconds from an alarm's state to its notification."""

FUNCTIONS = ("FanoutFunction", "GatewayLifecycle", "KafkaFunction")
"""Beginnings of the logical ids of functions with an event source."""

QUOTAS: Mapping[str, tuple[str, str]] = {
    "calls of API Gateway per second": ("apigateway", "L-8A5B8E43"),
    "new WebSocket connections per second": ("apigateway", "L-9ED1E49A"),
    "concurrent Lambda executions": ("lambda", "L-B99A9384"),
}
"""Service and code of each quota (Service Quotas; "Amazon API Gateway quotas", "Lambda quotas")."""

PEAK = 3.0
"""Ratio of a burst to the highest minute of the last day, for which there should be room."""

OTHER_FUNCTIONS = 100
"""Concurrent executions for lifecycle jobs, handshakes and messages."""


def check_alarm_topic(stack: DeployedStack) -> Finding:
    """Check that the topic of all alarms has subscriptions, all of them confirmed."""
    advice = "set monitoring.emails in chaincast.toml, deploy, and confirm the subscription by the link in the mail"
    topic = stack.outputs().get("AlarmTopic", "")
    if not topic:
        return Finding("alarm topic", False, "the stack has no output AlarmTopic", "deploy this version of Chaincast")
    pages = stack.client("sns").get_paginator("list_subscriptions_by_topic").paginate(TopicArn=topic)
    found = [subscription for page in pages for subscription in page["Subscriptions"]]
    pending = [s["Endpoint"] for s in found if not s["SubscriptionArn"].startswith("arn:")]
    confirmed = len(found) - len(pending)
    waiting = f"; not confirmed: {', '.join(pending)}" if pending else ""
    return Finding(
        "alarm topic", confirmed > 0 and not pending, f"{confirmed} confirmed subscriptions{waiting}", advice
    )


def check_test_alarm(stack: DeployedStack) -> Finding:
    """Set one alarm to ALARM, wait until CloudWatch has sent its notification, and set it back.

    CloudWatch sends a notification when the state changes, so the alarm must not be in state ALARM already.
    """
    client = stack.client("cloudwatch")
    alarms = client.describe_alarms(AlarmNamePrefix=f"{stack.name}-")["MetricAlarms"]
    if not alarms:
        return Finding("test alarm", False, "the stack has no alarms", "deploy this version of Chaincast")
    quiet = next((alarm for alarm in alarms if alarm["StateValue"] != "ALARM"), None)
    if quiet is None:
        return Finding("test alarm", None, "every alarm is in state ALARM, so a test would send nothing")
    name, before, began = quiet["AlarmName"], quiet["StateValue"], datetime.now(UTC)
    reason = "chaincast doctor --test-alarm: this is a test"
    client.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason=reason)
    try:
        summary = _notification(client, name, began)
    finally:
        client.set_alarm_state(AlarmName=name, StateValue=before, StateReason=reason)
    advice = "the topic's policy must allow cloudwatch.amazonaws.com to publish (infra/alarms.py)"
    if summary is None:
        return Finding("test alarm", False, f"{name} was not sent within {ALARM_SECONDS:.0f} s", advice)
    sent = summary.startswith("Successfully")
    return Finding("test alarm", sent, f"{name}: {summary}" + ("; look for the mail" if sent else ""), advice)


def _notification(client: Any, alarm: str, since: datetime) -> str | None:
    """Return the summary of an alarm's action after a time, or None if there is none within `ALARM_SECONDS`."""
    ends = time.monotonic() + ALARM_SECONDS
    while time.monotonic() < ends:
        history = client.describe_alarm_history(
            AlarmName=alarm, HistoryItemType="Action", StartDate=since - timedelta(seconds=5)
        )
        if history["AlarmHistoryItems"]:
            return str(history["AlarmHistoryItems"][0]["HistorySummary"])
        time.sleep(2)
    return None


def check_event_sources(stack: DeployedStack) -> list[Finding]:
    """Check that Lambda reads the queues and Kafka: a mapping may be disabled, or lack permissions."""
    findings = []
    for function, mapping in _mappings(stack):
        result = mapping.get("LastProcessingResult", "")
        ok = mapping["State"] == "Enabled" and "PROBLEM" not in result and "failed" not in result.lower()
        source = mapping.get("EventSourceArn", "Kafka").rpartition(":")[2]
        message = f"{source} is {mapping['State']}" + (f": {result}" if result and not ok else "")
        advice = (
            "see LastProcessingResult in the docs of Lambda; for MSK, the role needs kafka-cluster actions on cluster, "
            "topics and group, and the cluster's security group must allow itself"
        )
        findings.append(Finding(f"event source of {function}", ok, message, advice))
    return findings or [Finding("event sources", False, "there are none", "deploy this version of Chaincast")]


def _mappings(stack: DeployedStack) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for name, function in stack.resources("AWS::Lambda::Function"):
        if name.startswith(FUNCTIONS):
            mappings = stack.client("lambda").list_event_source_mappings(FunctionName=function)
            for mapping in mappings["EventSourceMappings"]:
                yield next(prefix for prefix in FUNCTIONS if name.startswith(prefix)), mapping


def check_quotas(stack: DeployedStack) -> list[Finding]:
    """Compare the account's quotas with what the configuration and the load of the last day need."""
    peak = f"{PEAK:.0f} times the busiest minute of the last day"
    needs = {
        "calls of API Gateway per second": (_highest(stack, "MessagesOut") / 60 * PEAK, peak),
        "new WebSocket connections per second": (_highest(stack, "ConnectionsOpened") / 60 * PEAK, peak),
        "concurrent Lambda executions": _executions(),
    }
    return [_quota(stack, name, *need) for name, need in needs.items()]


def _executions() -> tuple[float, str]:
    """Return the concurrent executions that the configuration needs, and why."""
    try:
        config = load(ROOT / "chaincast.toml")
    except (ConfigError, OSError) as error:
        return float(OTHER_FUNCTIONS), f"without fan-out, as chaincast.toml cannot be read: {error}"
    groups = len(config.settings(local=False).sources) * config.fanout.shards
    needed = max(groups, config.fanout.reserved_concurrency) + OTHER_FUNCTIONS
    return float(needed), f"{groups} message groups of fan-out and {OTHER_FUNCTIONS} for the other functions"


def _quota(stack: DeployedStack, name: str, needed: float, why: str) -> Finding:
    service, code = QUOTAS[name]
    client = stack.client("service-quotas")
    try:
        limit = client.get_service_quota(ServiceCode=service, QuotaCode=code)["Quota"]["Value"]
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchResourceException":
            return Finding(f"quota: {name}", None, str(error))
        limit = client.get_aws_default_service_quota(ServiceCode=service, QuotaCode=code)["Quota"]["Value"]
    advice = f"request a higher quota: Service Quotas, {service}, {code} (docs/scaling.md)"
    message = f"{limit:,.0f}; needed are {math.ceil(needed):,} ({why})"
    return Finding(f"quota: {name}", limit >= needed, message, advice)


def _highest(stack: DeployedStack, metric: str) -> float:
    """Return the count in the busiest minute of the last day of one of Chaincast's metrics; 0 if there is none."""
    now = datetime.now(UTC)
    search = f"SUM(SEARCH('{{Chaincast,service}} MetricName=\"{metric}\"', 'Sum', 60))"
    response = stack.client("cloudwatch").get_metric_data(
        MetricDataQueries=[{"Id": "highest", "Expression": search}], StartTime=now - timedelta(days=1), EndTime=now
    )
    return max((value for result in response["MetricDataResults"] for value in result["Values"]), default=0.0)


def check_certificate(stack: DeployedStack) -> Finding:
    """Check how long the certificate of the WebSocket URL remains valid, as a client sees it."""
    url = urlsplit(stack.websocket_url)
    host, port = url.hostname or "", url.port or 443
    advice = "ACM renews a certificate whose DNS record for validation still exists"
    if url.scheme != "wss":
        return Finding("certificate", False, f"{stack.websocket_url} has no TLS", "clients need wss://")
    try:
        with (
            socket.create_connection((host, port), TIMEOUT_SECONDS) as plain,
            ssl.create_default_context().wrap_socket(plain, server_hostname=host) as secured,
        ):
            certificate = secured.getpeercert() or {}
    except (OSError, ssl.SSLError) as error:
        return Finding("certificate", False, f"{host}: {error}", advice)
    days = (ssl.cert_time_to_seconds(str(certificate["notAfter"])) - time.time()) / 86_400
    return Finding("certificate", days > CERTIFICATE_DAYS, f"{host}: valid for {days:.0f} days", advice)
