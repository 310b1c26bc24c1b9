"""Tests of `chaincast doctor`: which checks it makes where."""

from __future__ import annotations

import pytest

from local.commands import doctor
from local.commands.doctor import Check
from local.errors import StepFailed
from local.findings import Finding
from local.stack.deployed_stack import DeployedStack

LOCAL, ON_AWS = DeployedStack("Chaincast", 4566), DeployedStack("Chaincast", None)


def passing(name: str, *, aws_only: bool = False) -> Check:
    return Check(name, lambda stack: Finding(name, True, "fine"), aws_only=aws_only)


def test_checks_of_the_aws_account_are_skipped_on_the_local_stack(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "CHECKS", (passing("everywhere"), passing("account", aws_only=True)))
    everywhere, account = doctor.examine(LOCAL)
    assert (everywhere.ok, account.ok) == (True, None)
    assert account.message == "not checked: the local stack has no AWS account"
    assert [finding.ok for finding in doctor.examine(ON_AWS)] == [True, True]


def test_some_checks_need_an_aws_account() -> None:
    of_account = {"certificate", "clock", "alarm topic", "event sources", "quotas"}
    assert {check.name for check in doctor.CHECKS if check.aws_only} == of_account


def test_an_alarm_is_raised_only_if_that_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "CHECKS", (passing("everywhere"),))
    monkeypatch.setattr(doctor, "TEST_ALARM", passing("test alarm", aws_only=True))
    assert [finding.check for finding in doctor.examine(ON_AWS)] == ["everywhere"]
    assert [finding.check for finding in doctor.examine(ON_AWS, test_alarm=True)] == ["everywhere", "test alarm"]


def test_a_check_that_raises_is_a_finding_and_the_others_are_made(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(stack: DeployedStack) -> Finding:
        raise StepFailed("connect", "no stack runs on port 4566 of this machine", "start it")

    monkeypatch.setattr(doctor, "CHECKS", (Check("stack", fail), passing("everywhere")))
    failed, everywhere = doctor.examine(LOCAL)
    assert (failed.check, failed.ok, everywhere.ok) == ("stack", False, True)
    assert "no stack runs on port 4566" in failed.message
