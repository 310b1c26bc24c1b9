"""Alarms that fire on figures that there are, and a dashboard that shows them."""

from __future__ import annotations

import inspect
import json
import re
from pathlib import Path
from typing import Any

from chaincast.metrics import catalogue
from chaincast.status import collector
from listener import metrics
from tests.infra.conftest import Template, synthesize
from tests.infra.reading import functions, of_type
from tests.infra.test_template import FUNCTIONS

NETWORKS = ("bsc-testnet", "base")


def alarms(template: Template) -> dict[str, Any]:
    """By their names without the construct's path and hash."""
    found = of_type(template, "AWS::CloudWatch::Alarm")
    return {re.sub(r"^ObservabilityAlarms|[0-9A-F]{8}$", "", name): alarm for name, alarm in found.items()}


def test_there_is_an_alarm_for_everything_that_can_go_wrong(template: Template) -> None:
    wanted = {"FanoutDeadLetters", "LifecycleDeadLetters", "KafkaDeadLetters"}
    wanted |= {"FanoutLate", "PostsLeft", "PostsThrottled"}
    wanted |= {f"{name.capitalize()}{what}" for name in FUNCTIONS for what in ("Errors", "Throttled", "Slow")}
    wanted |= {f"{name}{what}" for name in ("BscTestnet", "Base") for what in ("Stopped", "Silent", "Late")}
    assert set(alarms(template)) == wanted


def test_every_alarm_tells_the_topic_what_to_do_and_when_it_is_over(template: Template) -> None:
    (topic,) = of_type(template, "AWS::SNS::Topic")
    for alarm in alarms(template).values():
        assert alarm["AlarmActions"] == alarm["OKActions"] == [{"Ref": topic}]
        assert alarm["AlarmDescription"].startswith("Chaincast: ")


def test_only_silence_is_an_alarm_by_itself(template: Template) -> None:
    for name, alarm in alarms(template).items():
        assert (alarm["TreatMissingData"] == "breaching") == name.endswith("Silent")
        assert (alarm["ComparisonOperator"] == "LessThanThreshold") == name.endswith("Silent")


def test_slow_is_four_fifths_of_a_functions_time(template: Template) -> None:
    for name, function in functions(template).items():
        assert alarms(template)[f"{name.capitalize()}Slow"]["Threshold"] == function["Timeout"] * 800


def named(node: object) -> set[tuple[str, str]]:
    """The service and name of every metric of ours in a template's part."""
    found: set[tuple[str, str]] = set()
    if isinstance(node, dict):
        if node.get("Namespace") == "Chaincast":
            dimensions = {d["Name"]: d["Value"] for d in node["Dimensions"]}
            found.add((dimensions["service"], node["MetricName"]))
        for value in node.values():
            found |= named(value)
    elif isinstance(node, list):
        if node[:1] == ["Chaincast"]:  # a dashboard's: namespace, name, dimensions in turn
            found.add((node[node.index("service") + 1], node[1]))
        for value in node:
            found |= named(value)
    return found


def widgets(template: Template) -> list[dict[str, Any]]:
    (dashboard,) = of_type(template, "AWS::CloudWatch::Dashboard").values()
    # What only CloudFormation knows (names of tables, ARNs) is a word here; a text says where it stands.
    parts = dashboard["DashboardBody"]["Fn::Join"][1]
    body: dict[str, Any] = json.loads("".join(part if isinstance(part, str) else "x" for part in parts))
    found: list[dict[str, Any]] = body["widgets"]
    return found


def test_alarms_and_dashboard_show_only_figures_that_are_counted(template: Template) -> None:
    used = named(list(alarms(template).values())) | named(widgets(template))
    counted = {*catalogue.COUNTERS, *catalogue.HISTOGRAMS}
    split_up = {name for name, metric in catalogue.COUNTERS.items() if metric.split}
    told = inspect.getsource(metrics)
    for service, name in used:
        if service == "listener":
            assert f'"{name}"' in told
            continue
        source = (Path(catalogue.__file__).parents[2] / "functions" / f"{service}.py").read_text()
        split = next((whole for whole in counted if name.startswith(whole) and whole in split_up), name)
        assert split in counted, f"{name} is not in the catalogue"
        of_every_refusal = {"RateLimitHits", "Authentications"}
        assert (
            f'"{split}"' in source
            or (split in of_every_refusal and "telemetry.refused(" in source)
            or (split == "ConnectionsClosed" and "telemetry.closed(" in source)
        ), f"functions/{service}.py does not count {split}"


def test_the_dashboard_says_first_whether_it_delivers_how_late_and_who_is_throttled(template: Template) -> None:
    titles = [
        widget["properties"].get("title", "") for widget in sorted(widgets(template), key=lambda w: (w["y"], w["x"]))
    ]
    assert titles[:4] == ["Alarms", "Is it delivering?", "How late? (queue to last post)", "Who is throttled?"]
    assert "Age of the newest block" in titles
    assert all(widget["x"] + widget["width"] <= 24 for widget in widgets(template))


def test_mails_and_traces_are_there_when_they_are_asked_for(template: Template, tmp_path: Path) -> None:
    assert of_type(template, "AWS::SNS::Subscription") == {}
    assert not any("TracingConfig" in function for function in functions(template).values())
    config = tmp_path / "monitored.toml"
    config.write_text(
        '[networks]\n[monitoring]\nauth = "off"\nemails = ["ops@example.com"]\ntracing = true\n[auth]\nmode = "off"\n'
        '[publish]\nauth = "off"\n[admin]\nauth = "off"\n'
    )
    done = synthesize(tmp_path / "out", config=str(config))
    assert done.returncode == 0, done.stderr
    monitored: Template = json.loads((tmp_path / "out" / "Chaincast.template.json").read_text())
    (mail,) = of_type(monitored, "AWS::SNS::Subscription").values()
    assert (mail["Protocol"], mail["Endpoint"]) == ("email", "ops@example.com")
    assert {f["TracingConfig"]["Mode"] for f in functions(monitored).values()} == {"Active"}
    assert "status" not in functions(monitored), "nothing is there that nobody may ask"
    assert of_type(monitored, "AWS::SecretsManager::Secret") == {}


def test_a_stage_is_a_stack_of_its_own_of_which_nothing_is_kept(tmp_path: Path) -> None:
    config = tmp_path / "any.toml"
    config.write_text("[networks]\n")
    done = synthesize(tmp_path / "out", config=str(config), stage="dev")
    assert done.returncode == 0, done.stderr
    made: Template = json.loads((tmp_path / "out" / "Chaincast-dev.template.json").read_text())
    (web,) = [s for s in of_type(made, "AWS::ApiGatewayV2::Stage").values() if s["StageName"] != "$default"]
    assert web["StageName"] == "dev"
    tables = [r for r in made["Resources"].values() if r["Type"] == "AWS::DynamoDB::GlobalTable"]
    assert {table["DeletionPolicy"] for table in tables} == {"Delete"}


def test_a_stage_that_is_no_word_is_refused(tmp_path: Path) -> None:
    done = synthesize(tmp_path / "out", stage="Dev Two")
    assert done.returncode != 0
    assert "stage 'Dev Two' is not a word" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_counts_of_every_function_are_read(template: Template) -> None:
    assert set(collector.FUNCTIONS) == set(functions(template))
