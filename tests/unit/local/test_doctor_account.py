"""Tests of the doctor's checks of an AWS account, with responses of AWS as its API models define them."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.stub import ANY, Stubber

from benchmarks.certificate import make_certificate
from chaincast.config.load import load
from local.commands import doctor_account as account
from local.stack.checkout import ROOT
from local.stack.deployed_stack import DeployedStack
from tests.integration.scripted import ScriptedServer

TOPIC = "arn:aws:sns:eu-central-1:111122223333:Chaincast-Alarms"


class Stack(DeployedStack):
    """A stack whose clients have scripted responses, which botocore checks against the model of the service."""

    def __init__(self, url: str = "wss://example.com") -> None:
        super().__init__("Chaincast", None)
        self._stubs: dict[str, Stubber] = {}
        self._url = url

    def client(self, service: str) -> Any:  # type: ignore[override]  # the base class caches its clients
        return self.stub(service).client

    def stub(self, service: str) -> Stubber:
        if service not in self._stubs:
            session: Any = boto3.Session(
                aws_access_key_id="AKID", aws_secret_access_key="x", region_name="eu-central-1"
            )
            stubber = Stubber(session.client(service))
            stubber.activate()
            self._stubs[service] = stubber
        return self._stubs[service]

    def outputs(self) -> dict[str, str]:
        return {"AlarmTopic": TOPIC, "WebSocketUrl": self._url}


@pytest.mark.parametrize(
    ("arns", "ok", "message"),
    [
        ([], False, "0 confirmed subscriptions"),
        (["PendingConfirmation"], False, "0 confirmed subscriptions; not confirmed: ann@example.com"),
        ([f"{TOPIC}:1", "PendingConfirmation"], False, "1 confirmed subscriptions; not confirmed: ann@example.com"),
        ([f"{TOPIC}:1", f"{TOPIC}:2"], True, "2 confirmed subscriptions"),
    ],
)
def test_all_subscriptions_to_the_alarm_topic_must_be_confirmed(arns: list[str], ok: bool, message: str) -> None:
    stack = Stack()
    subscriptions = [{"SubscriptionArn": arn, "Endpoint": "ann@example.com"} for arn in arns]
    stack.stub("sns").add_response("list_subscriptions_by_topic", {"Subscriptions": subscriptions}, {"TopicArn": TOPIC})
    finding = account.check_alarm_topic(stack)
    assert (finding.ok, finding.message) == (ok, message)


@pytest.mark.parametrize(
    ("summary", "ok"),
    [
        (f"Successfully executed action {TOPIC}", True),
        (f"Failed to execute action {TOPIC}. Received error: not authorized to perform: SNS:Publish", False),
        (None, False),
    ],
)
def test_a_test_alarm_is_sent_and_taken_back(summary: str | None, ok: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(account, "ALARM_SECONDS", 0.5 if summary is None else 60.0)
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    stack = Stack()
    stub = stack.stub("cloudwatch")
    alarm = {"AlarmName": "Chaincast-Late", "StateValue": "OK"}
    rings = {"AlarmName": "Chaincast-Errors", "StateValue": "ALARM"}  # already, so a test would send nothing
    stub.add_response("describe_alarms", {"MetricAlarms": [rings, alarm]}, {"AlarmNamePrefix": "Chaincast-"})
    states = [{"AlarmName": "Chaincast-Late", "StateValue": state, "StateReason": ANY} for state in ("ALARM", "OK")]
    stub.add_response("set_alarm_state", {}, states[0])
    if summary is None:
        monkeypatch.setattr(account, "_notification", lambda client, name, since: None)
    else:
        items = [{"HistorySummary": summary}]
        wanted = {"AlarmName": "Chaincast-Late", "HistoryItemType": "Action", "StartDate": ANY}
        stub.add_response("describe_alarm_history", {"AlarmHistoryItems": []}, wanted)
        stub.add_response("describe_alarm_history", {"AlarmHistoryItems": items}, wanted)
    stub.add_response("set_alarm_state", {}, states[1])
    finding = account.check_test_alarm(stack)
    assert finding.ok == ok
    assert (summary or "was not sent") in finding.message
    stub.assert_no_pending_responses()


def test_a_test_alarm_is_skipped_while_all_alarms_ring() -> None:
    stack = Stack()
    rings = {"AlarmName": "Chaincast-Errors", "StateValue": "ALARM"}
    stack.stub("cloudwatch").add_response("describe_alarms", {"MetricAlarms": [rings]})
    assert account.check_test_alarm(stack).ok is None


@pytest.mark.parametrize(
    ("state", "result", "ok"),
    [
        ("Enabled", "OK", True),
        ("Enabled", "No records processed", True),
        ("Disabled", "OK", False),
        ("Enabled", "PROBLEM: Connection error. Cluster authorization failed.", False),
    ],
)
def test_an_event_source_must_be_enabled_and_without_a_problem(state: str, result: str, ok: bool) -> None:
    stack = Stack()
    resources = [
        {
            "LogicalResourceId": name,
            "PhysicalResourceId": f"Chaincast-{name}",
            "ResourceType": "AWS::Lambda::Function",
            "LastUpdatedTimestamp": datetime.now(UTC),
            "ResourceStatus": "CREATE_COMPLETE",
        }
        for name in ("GatewayMessage1A", "KafkaFunction2B")
    ]
    stack.stub("cloudformation").add_response(
        "list_stack_resources", {"StackResourceSummaries": resources}, {"StackName": "Chaincast"}
    )
    mapping = {"State": state, "LastProcessingResult": result, "EventSourceArn": "arn:aws:kafka:x:1:cluster/team"}
    stack.stub("lambda").add_response(
        "list_event_source_mappings", {"EventSourceMappings": [mapping]}, {"FunctionName": "Chaincast-KafkaFunction2B"}
    )
    (finding,) = account.check_event_sources(stack)
    assert (finding.check, finding.ok) == ("event source of KafkaFunction", ok)
    assert ok or state in finding.message
    assert ok or state == "Disabled" or result in finding.message


def test_quotas_are_compared_with_the_busiest_minute_and_the_configuration() -> None:
    stack = Stack()
    metrics, quotas = stack.stub("cloudwatch"), stack.stub("service-quotas")
    for values in ([60_000.0, 240_000.0], [600.0]):
        results = [{"Id": "highest", "Values": values}]
        metrics.add_response(
            "get_metric_data",
            {"MetricDataResults": results},
            {"MetricDataQueries": ANY, "StartTime": ANY, "EndTime": ANY},
        )
    for (service, code), limit in zip(account.QUOTAS.values(), (10_000.0, 500.0, 10.0), strict=True):
        wanted = {"ServiceCode": service, "QuotaCode": code}
        if service == "lambda":  # an account that never changed it has only the default
            quotas.add_client_error("get_service_quota", "NoSuchResourceException", expected_params=wanted)
            quotas.add_response("get_aws_default_service_quota", {"Quota": {"Value": limit}}, wanted)
        else:
            quotas.add_response("get_service_quota", {"Quota": {"Value": limit}}, wanted)
    calls, connections, executions = account.check_quotas(stack)
    assert (calls.ok, calls.message[:26]) == (False, "10,000; needed are 12,000 ")
    assert (connections.ok, connections.message[:21]) == (True, "500; needed are 30 (3")
    assert executions.ok is False
    config = load(ROOT / "chaincast.toml")
    deployed = config.deployed_networks(local=False)
    assert len(deployed) < len(config.networks), "a network of the local stack needs no executions in the account"
    groups = (len(deployed) + config.publish.log_partitions) * config.fanout.shards
    assert f"{groups} message groups" in executions.message
    assert "L-B99A9384" in executions.advice


@pytest.mark.parametrize(("days", "ok"), [(15.5, True), (13.5, False)])
def test_a_certificate_must_be_valid_for_two_weeks(
    days: float, ok: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority: Callable[..., ssl.SSLContext] = ssl.create_default_context
    make_certificate(tmp_path)
    with ScriptedServer(tmp_path) as server:
        monkeypatch.setattr(ssl, "create_default_context", lambda: authority(cafile=str(tmp_path / "certificate.pem")))
        monkeypatch.setattr(ssl, "cert_time_to_seconds", lambda text: time.time() + days * 86_400)
        finding = account.check_certificate(Stack(f"wss://{server.url.removeprefix('https://')}/prod"))
    assert (finding.ok, "valid for" in finding.message) == (ok, True)


@pytest.mark.parametrize("url", ["ws://localhost:1", "wss://localhost:1"])
def test_a_url_without_tls_or_without_a_server_is_a_finding(url: str) -> None:
    assert account.check_certificate(Stack(url)).ok is False
