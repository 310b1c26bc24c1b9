"""`chaincast doctor`: check a deployed stack from outside, as its clients and its operator see it."""

from __future__ import annotations

import argparse
import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from websockets.exceptions import InvalidHandshake
from websockets.sync.client import connect

from chaincast.config.load import load
from chaincast.errors import ConfigError
from local.commands import doctor_account as account
from local.errors import StepFailed
from local.findings import Finding, show
from local.stack.checkout import ROOT
from local.stack.deployed_stack import DeployedStack

TIMEOUT_SECONDS = 15.0
MAX_SKEW_SECONDS = 60
"""Maximum difference between this machine's clock and AWS's, in seconds.

AWS rejects signatures that are five minutes off; tokens expire to the second.
"""


@dataclass(frozen=True, slots=True)
class Check:
    """One check. `aws_only`: True if it examines the AWS account or its clock, which the local stack does not have."""

    name: str
    examine: Callable[[DeployedStack], Finding | list[Finding]]
    aws_only: bool = False


def run(options: argparse.Namespace) -> int:
    """Print the findings of all checks. Return 0 if no check failed."""
    return show(list(examine(DeployedStack.from_options(options), test_alarm=options.test_alarm)), as_json=options.json)


def examine(stack: DeployedStack, *, test_alarm: bool = False) -> Iterator[Finding]:
    """Yield the findings of each check in turn. `test_alarm`: raise an alarm, too, and see whether it is sent."""
    for check in (*CHECKS, *((TEST_ALARM,) if test_alarm else ())):
        if check.aws_only and stack.is_local:
            yield Finding(check.name, None, "not checked: the local stack has no AWS account")
            continue
        try:
            result = check.examine(stack)
        except StepFailed as error:
            result = Finding(check.name, False, str(error))
        except (BotoCoreError, ClientError) as error:
            result = Finding(check.name, None, str(error))
        yield from result if isinstance(result, list) else [result]


def _check_stack(stack: DeployedStack) -> Finding:
    status = stack.description()["StackStatus"]
    ok = status.endswith("_COMPLETE") and "ROLLBACK" not in status
    return Finding("stack", ok, f"{stack.name} is {status}", "look at the stack's events in CloudFormation")


def _check_websocket(stack: DeployedStack) -> Finding:
    url, began = stack.websocket_url, time.monotonic()
    advice = "read the log of functions/connect.py; section [access] may reject this machine's address"
    try:
        with connect(f"{url}?dialect=chaincast.v1", open_timeout=TIMEOUT_SECONDS) as socket:
            greeting = json.loads(socket.recv(TIMEOUT_SECONDS))
    except (OSError, InvalidHandshake, TimeoutError) as error:
        return Finding("websocket", False, f"{url}: {error or type(error).__name__}", advice)
    took = (time.monotonic() - began) * 1000
    return Finding("websocket", greeting["type"] == "connected", f"greeted after {took:.0f} ms", advice)


def _check_health(stack: DeployedStack) -> list[Finding]:
    if not stack.http_url:
        return [Finding("health", None, "this deployment has no HTTP API (monitoring.auth = 'off')")]
    try:
        document, _ = _get_health(stack.http_url)
    except OSError as error:
        return [Finding("health", False, f"{stack.http_url}/health: {error}", "check that the HTTP API is deployed")]
    problems: list[str] = document.get("problems", ["the response does not list problems"])
    listeners: dict[str, Any] = document.get("services", {}).get("listeners", {})
    message = "; ".join(problems) or "all services respond"
    findings = [Finding("health", not problems, message, "see docs/operating.md")]
    for name, listener in listeners.items():
        message = f"{listener['status']}, {listener['lagBlocks']} blocks and {listener['lagSeconds']:.0f} s behind"
        advice = "read the log of its container; run chaincast doctor again in a minute"
        findings.append(Finding(f"listener {name}", listener["status"] == "ok", message, advice))
    return findings


def _check_clock(stack: DeployedStack) -> Finding:
    if not stack.http_url:
        return Finding("clock", None, "this deployment has no HTTP API to compare with (monitoring.auth = 'off')")
    try:
        _, date = _get_health(stack.http_url)
    except OSError as error:
        return Finding("clock", None, f"{stack.http_url}/health: {error}")
    if not date:
        return Finding("clock", None, "the response has no Date header")
    skew = abs(parsedate_to_datetime(date).timestamp() - time.time())
    return Finding("clock", skew < MAX_SKEW_SECONDS, f"{skew:.0f} s off AWS's clock", "set this machine's clock")


def _get_health(url: str) -> tuple[dict[str, Any], str]:
    """Return the /health document and the response's Date header. An unhealthy stack responds with an HTTP error."""
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=TIMEOUT_SECONDS) as response:
            return json.loads(response.read()), response.headers.get("date", "")
    except urllib.error.HTTPError as error:
        with error:
            return json.loads(error.read() or b"{}"), error.headers.get("date", "")


def _check_alarms(stack: DeployedStack) -> Finding:
    alarms = stack.client("cloudwatch").describe_alarms(AlarmNamePrefix=stack.name, StateValue="ALARM")["MetricAlarms"]
    ringing = [f"{alarm['AlarmName']} ({alarm.get('AlarmDescription', '')})" for alarm in alarms]
    return Finding("alarms", not ringing, "; ".join(ringing) or "none", "each description says what is wrong")


def _check_configuration(stack: DeployedStack) -> Finding:
    """Check that the deployed settings are those of the configuration in this checkout."""
    try:
        expected = json.loads(load(ROOT / "chaincast.toml").settings(local=stack.is_local).to_json())
    except (ConfigError, OSError) as error:
        return Finding("configuration", None, f"chaincast.toml cannot be read: {error}")
    name = stack.resource("AWS::Lambda::Function", "GatewayMessage")
    function = stack.client("lambda").get_function_configuration(FunctionName=name)
    deployed = json.loads(function["Environment"]["Variables"]["CHAINCAST_SETTINGS"])
    different = sorted(key for key in expected.keys() | deployed.keys() if expected.get(key) != deployed.get(key))
    message = f"differs from chaincast.toml: {', '.join(different)}" if different else "as in chaincast.toml"
    return Finding("configuration", not different, message, "run cdk deploy, or compare with another stage's file")


CHECKS = (
    Check("stack", _check_stack),
    Check("websocket", _check_websocket),
    Check("certificate", account.check_certificate, aws_only=True),
    Check("health", _check_health),
    Check("clock", _check_clock, aws_only=True),
    Check("alarms", _check_alarms),
    Check("alarm topic", account.check_alarm_topic, aws_only=True),
    Check("event sources", account.check_event_sources, aws_only=True),
    Check("quotas", account.check_quotas, aws_only=True),
    Check("configuration", _check_configuration),
)

TEST_ALARM = Check("test alarm", account.check_test_alarm, aws_only=True)
