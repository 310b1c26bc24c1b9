"""`chaincast doctor`: is a deployed stack well? Each question is asked from outside, as a client or its owner would."""

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
from rich.console import Console
from websockets.exceptions import InvalidHandshake
from websockets.sync.client import connect

from chaincast.config.load import load
from chaincast.errors import ConfigError
from local.stack.deployed import Deployed
from local.stack.tools import ROOT, StepFailed

SECONDS = 15.0
MAX_SKEW_SECONDS = 60
"""AWS refuses signatures that are five minutes off; tokens and cursors are judged by the second."""

ENOUGH_CONCURRENCY = 1000
"""What a new account may be below of: a Lambda for every message of a busy second."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one question brought: `ok` None: it cannot be said. `advice`: what to do about it."""

    question: str
    ok: bool | None
    words: str
    advice: str = ""


def run(options: argparse.Namespace) -> int:
    """Ask everything; 0 if nothing is wrong."""
    deployed, console = Deployed.of(options), Console(highlight=False)
    findings = list(examine(deployed))
    if options.json:
        print(json.dumps([{"question": f.question, "ok": f.ok, "words": f.words} for f in findings]))
    else:
        for finding in findings:
            mark = {True: "[green]✓[/]", False: "[red]✗[/]", None: "[yellow]?[/]"}[finding.ok]
            console.print(f"{mark} {finding.question}: {finding.words}")
            if finding.ok is False and finding.advice:
                console.print(f"    [dim]{finding.advice}[/]")
    return 0 if all(finding.ok is not False for finding in findings) else 1


def examine(deployed: Deployed) -> Iterator[Finding]:
    """Every finding, in turn."""
    questions: tuple[tuple[str, Callable[[Deployed], Finding | list[Finding]]], ...] = (
        ("stack", _stack),
        ("websocket", _websocket),
        ("health", _health),
        ("alarms", _alarms),
        ("quotas", _quotas),
        ("configuration", _drift),
    )
    for name, question in questions:
        try:
            found = question(deployed)
        except StepFailed as error:
            found = Finding(name, False, str(error))
        except (BotoCoreError, ClientError) as error:
            found = Finding(name, None, str(error))
        yield from found if isinstance(found, list) else [found]


def _stack(deployed: Deployed) -> Finding:
    status = deployed.description()["StackStatus"]
    well = status.endswith("_COMPLETE") and "ROLLBACK" not in status
    return Finding("stack", well, f"{deployed.stack} is {status}", "look at its events in CloudFormation")


def _websocket(deployed: Deployed) -> Finding:
    url, began = deployed.websocket_url, time.monotonic()
    advice = "functions/connect.py's log says why; [access] may keep this machine out"
    try:
        with connect(f"{url}?dialect=chaincast.v1", open_timeout=SECONDS) as socket:
            greeting = json.loads(socket.recv(SECONDS))
    except (OSError, InvalidHandshake, TimeoutError) as error:
        return Finding("websocket", False, f"{url}: {error or type(error).__name__}", advice)
    took = (time.monotonic() - began) * 1000
    return Finding("websocket", greeting["type"] == "connected", f"greeted after {took:.0f} ms", advice)


def _health(deployed: Deployed) -> list[Finding]:
    url = deployed.http_url
    if not url:
        return [Finding("health", None, "this deployment has no HTTP API (monitoring.auth = 'off')")]
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=SECONDS) as answer:
            document, date = json.loads(answer.read()), answer.headers.get("date", "")
    except urllib.error.HTTPError as error:
        with error:
            document, date = json.loads(error.read() or b"{}"), error.headers.get("date", "")
    except OSError as error:
        return [Finding("health", False, f"{url}/health: {error}", "is the HTTP API deployed?")]
    troubles: list[str] = document.get("troubles", ["it says nothing of itself"])
    listeners: dict[str, Any] = document.get("services", {}).get("listeners", {})
    found = [Finding("health", not troubles, "; ".join(troubles) or "everything answers", "docs/operating.md")]
    for name, listener in listeners.items():
        words = f"{listener['status']}, {listener['lagBlocks']} blocks and {listener['lagSeconds']:.0f} s behind"
        advice = "its container's log says why; chaincast doctor again in a minute"
        found.append(Finding(f"listener {name}", listener["status"] == "ok", words, advice))
    return [*found, _clock(date)]


def _clock(date: str) -> Finding:
    if not date:
        return Finding("clock", None, "the answer has no date")
    skew = abs(parsedate_to_datetime(date).timestamp() - time.time())
    return Finding("clock", skew < MAX_SKEW_SECONDS, f"{skew:.0f} s from AWS's", "set this machine's clock")


def _alarms(deployed: Deployed) -> Finding:
    pages = deployed.client("cloudwatch").describe_alarms(AlarmNamePrefix=deployed.stack, StateValue="ALARM")
    ringing = [f"{alarm['AlarmName']} ({alarm.get('AlarmDescription', '')})" for alarm in pages["MetricAlarms"]]
    return Finding("alarms", not ringing, "; ".join(ringing) or "none", "each says what is wrong")


def _quotas(deployed: Deployed) -> Finding:
    """Of Lambda, which is what a new account has least of. API Gateway's are in docs/scaling.md."""
    limit = deployed.client("lambda").get_account_settings()["AccountLimit"]["ConcurrentExecutions"]
    advice = "ask AWS for more (Service Quotas, Lambda, concurrent executions): docs/scaling.md"
    return Finding("quotas", limit >= ENOUGH_CONCURRENCY, f"{limit} Lambda functions at once", advice)


def _drift(deployed: Deployed) -> Finding:
    """Whether what is deployed is what the configuration here says."""
    try:
        wanted = json.loads(load(ROOT / "chaincast.toml").settings(local=deployed.port is not None).to_json())
    except (ConfigError, OSError) as error:
        return Finding("configuration", None, f"chaincast.toml cannot be read here: {error}")
    name = deployed.resource("AWS::Lambda::Function", "GatewayMessage")
    found = deployed.client("lambda").get_function_configuration(FunctionName=name)
    settings = json.loads(found["Environment"]["Variables"]["CHAINCAST_SETTINGS"])
    other = sorted(key for key in wanted.keys() | settings.keys() if wanted.get(key) != settings.get(key))
    words = f"deployed otherwise than chaincast.toml says: {', '.join(other)}" if other else "as chaincast.toml says"
    return Finding("configuration", not other, words, "cdk deploy, or another stage's file?")
