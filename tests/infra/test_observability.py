"""Tests of alarms and dashboard: they cover every failure, and use only metrics that exist."""

from __future__ import annotations

import inspect
import json
import re
from pathlib import Path
from typing import Any

from chaincast.metrics import catalogue
from chaincast.status import collector
from infra.imports import imports_of
from listener import metrics
from tests.infra.conftest import Template, synthesize
from tests.infra.reading import functions, of_type
from tests.infra.test_template import FUNCTIONS

NETWORKS = ("bsc-testnet", "base")


def alarms(template: Template) -> dict[str, Any]:
    """Return the alarms by their logical ids without the construct's path and hash."""
    resources = of_type(template, "AWS::CloudWatch::Alarm")
    return {re.sub(r"^ObservabilityAlarms|[0-9A-F]{8}$", "", name): alarm for name, alarm in resources.items()}


def test_there_is_an_alarm_for_everything_that_can_go_wrong(template: Template) -> None:
    wanted = {"FanoutDeadLetters", "LifecycleDeadLetters", "KafkaDeadLetters"}
    wanted |= {"FanoutLate", "PostsDeferred", "PostsThrottled", "PostsRefused", "PostsForbidden"}
    wanted |= {f"{name.capitalize()}{what}" for name in FUNCTIONS for what in ("Errors", "Throttled", "Slow")}
    wanted |= {f"{name}{what}" for name in ("BscTestnet", "Base") for what in ("Stopped", "Silent", "Late")}
    assert set(alarms(template)) == wanted


def test_every_alarm_notifies_the_topic_when_it_begins_and_ends(template: Template) -> None:
    (topic,) = of_type(template, "AWS::SNS::Topic")
    for alarm in alarms(template).values():
        assert alarm["AlarmActions"] == alarm["OKActions"] == [{"Ref": topic}]
        assert alarm["AlarmDescription"].startswith("Chaincast: ")


def test_alarms_may_publish_to_the_topic(template: Template) -> None:
    """A topic policy replaces the default policy, which allows it.

    Source: re:Post, "Why didn't I receive an SNS notification for my CloudWatch alarm trigger?"
    """
    (topic,) = of_type(template, "AWS::SNS::Topic")
    (policy,) = of_type(template, "AWS::SNS::TopicPolicy").values()
    allowed = [s for s in policy["PolicyDocument"]["Statement"] if s["Effect"] == "Allow"]
    assert [{key: s[key] for key in ("Action", "Principal", "Resource", "Condition")} for s in allowed] == [
        {
            "Action": "sns:Publish",
            "Principal": {"Service": "cloudwatch.amazonaws.com"},
            "Resource": {"Ref": topic},
            "Condition": {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}},
        }
    ]


def test_missing_data_is_an_alarm_only_for_silent_listeners(template: Template) -> None:
    for name, alarm in alarms(template).items():
        assert (alarm["TreatMissingData"] == "breaching") == name.endswith("Silent")
        assert (alarm["ComparisonOperator"] == "LessThanThreshold") == name.endswith("Silent")


def test_slow_is_four_fifths_of_a_functions_timeout(template: Template) -> None:
    for name, function in functions(template).items():
        assert alarms(template)[f"{name.capitalize()}Slow"]["Threshold"] == function["Timeout"] * 800


def metric_names(node: object) -> set[tuple[str, str]]:
    """Return the service and name of each of this project's metrics in a part of a template."""
    names: set[tuple[str, str]] = set()
    if isinstance(node, dict):
        if node.get("Namespace") == "Chaincast":
            dimensions = {d["Name"]: d["Value"] for d in node["Dimensions"]}
            names.add((dimensions["service"], node["MetricName"]))
        for value in node.values():
            names |= metric_names(value)
    elif isinstance(node, list):
        if node[:1] == ["Chaincast"]:  # of a dashboard: namespace, name, then dimensions
            names.add((node[node.index("service") + 1], node[1]))
        for value in node:
            names |= metric_names(value)
    return names


def widgets(template: Template) -> list[dict[str, Any]]:
    (dashboard,) = of_type(template, "AWS::CloudWatch::Dashboard").values()
    # Table names and ARNs, which only CloudFormation can fill in, are replaced by "x".
    parts = dashboard["DashboardBody"]["Fn::Join"][1]
    body: dict[str, Any] = json.loads("".join(part if isinstance(part, str) else "x" for part in parts))
    collected: list[dict[str, Any]] = body["widgets"]
    return collected


def test_alarms_and_dashboard_use_only_metrics_that_are_counted(template: Template) -> None:
    used = metric_names(list(alarms(template).values())) | metric_names(widgets(template))
    counted = {*catalogue.COUNTERS, *catalogue.HISTOGRAMS}
    split_up = {name for name, metric in catalogue.COUNTERS.items() if metric.split}
    listener_source = inspect.getsource(metrics)
    for service, name in used:
        if service == "listener":
            assert f'"{name}"' in listener_source
            continue
        root = Path(catalogue.__file__).parents[2]
        source = "".join((root / file).read_text() for file in imports_of(service).files if file.name != "catalogue.py")
        split = next((whole for whole in counted if name.startswith(whole) and whole in split_up), name)
        assert split in counted, f"{name} is not in the catalogue"
        of_every_refusal = {"RateLimitHits", "Authentications"}
        assert (
            f'"{split}"' in source
            or (split in of_every_refusal and re.search(r"metrics\.count_refusal\(", source))
            or (split == "ConnectionsClosed" and re.search(r"metrics\.count_closed\(", source))
        ), f"functions/{service}.py does not count {split}"


def test_the_dashboard_begins_with_deliveries_latency_and_throttling(template: Template) -> None:
    titles = [
        widget["properties"].get("title", "") for widget in sorted(widgets(template), key=lambda w: (w["y"], w["x"]))
    ]
    assert titles[:4] == ["Alarms", "Deliveries", "Fan-out latency (queue to last post)", "Throttled requests"]
    assert "Age of the newest block" in titles
    assert all(widget["x"] + widget["width"] <= 24 for widget in widgets(template))


def test_emails_and_traces_are_deployed_only_if_the_configuration_enables_them(
    template: Template, tmp_path: Path
) -> None:
    assert of_type(template, "AWS::SNS::Subscription") == {}
    assert not any("TracingConfig" in function for function in functions(template).values())
    config = tmp_path / "monitored.toml"
    config.write_text(
        '[networks]\n[monitoring]\nauth = "off"\nemails = ["ops@example.com"]\ntracing = true\n[auth]\nmode = "off"\n'
        '[publish]\nauth = "off"\n[admin]\nauth = "off"\n'
    )
    done = synthesize(tmp_path / "out", config=str(config), stage="dev")
    assert done.returncode == 0, done.stderr
    monitored: Template = json.loads((tmp_path / "out" / "Chaincast-dev.template.json").read_text())
    (mail,) = of_type(monitored, "AWS::SNS::Subscription").values()
    assert (mail["Protocol"], mail["Endpoint"]) == ("email", "ops@example.com")
    assert {f["TracingConfig"]["Mode"] for f in functions(monitored).values()} == {"Active"}
    assert "status" not in functions(monitored), "all routes of the function are off"
    assert of_type(monitored, "AWS::SecretsManager::Secret") == {}
    # A stage is a separate stack that retains no data.
    (web,) = [s for s in of_type(monitored, "AWS::ApiGatewayV2::Stage").values() if s["StageName"] != "$default"]
    assert web["StageName"] == "dev"
    tables = [r for r in monitored["Resources"].values() if r["Type"] == "AWS::DynamoDB::GlobalTable"]
    assert {table["DeletionPolicy"] for table in tables} == {"Delete"}


def test_an_invalid_stage_is_refused(tmp_path: Path) -> None:
    done = synthesize(tmp_path / "out", stage="Dev Two")
    assert done.returncode != 0
    assert "stage 'Dev Two': a stage is 1 to 20 lower-case letters and digits" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_stored_counters_of_every_function_are_read(template: Template) -> None:
    assert set(collector.FUNCTIONS) == set(functions(template))
