"""Tests of the secrets in the template: the key of client tokens, and the token for metrics."""

from __future__ import annotations

import json
from typing import Any

from tests.infra.conftest import Template
from tests.infra.reading import functions, of_type, statements

MESSAGE = "GatewayMessage"
READERS = ("GatewayConnect", MESSAGE, "HttpTicket", "HttpStatus")


def secrets(template: Template) -> dict[str, Any]:
    """Return the secrets that the stack creates, without the token for metrics."""
    created = of_type(template, "AWS::SecretsManager::Secret")
    return {name: secret for name, secret in created.items() if "MetricsToken" not in name}


def test_only_functions_that_check_tokens_may_read_the_secret(template: Template) -> None:
    ((name, secret),) = secrets(template).items()
    assert secret["GenerateSecretString"]["PasswordLength"] == 64
    arn = {"Fn::GetAtt": [name, "Id"]}
    readers = [
        role
        for role, policy in of_type(template, "AWS::IAM::Policy").items()
        if name in json.dumps(policy["PolicyDocument"])
    ]
    assert len(readers) == len(READERS)
    for role in READERS:
        assert any(reader.startswith(role) for reader in readers)
        (statement,) = [s for s in statements(template, role) if s["Action"] == "secretsmanager:GetSecretValue"]
        assert arn in (statement["Resource"], *statement["Resource"])
    named_by = [f for f, p in functions(template).items() if name in json.dumps(p)]
    assert sorted(named_by) == ["connect", "message", "status", "ticket"]


def test_a_teams_own_secret_is_read_by_its_name(jwt_template: Template) -> None:
    assert secrets(jwt_template) == {}
    (statement,) = [s for s in statements(jwt_template, MESSAGE) if s["Action"] == "secretsmanager:GetSecretValue"]
    assert ":secret:team/jwt-??????" in json.dumps(statement["Resource"])
    assert json.dumps(functions(jwt_template)["message"]).count("team/jwt") == 1


def test_where_an_issuer_has_keys_there_is_no_secret(keys_template: Template) -> None:
    assert secrets(keys_template) == {}
    assert "secretsmanager:GetSecretValue" not in [s["Action"] for s in statements(keys_template, MESSAGE)]


def test_metrics_need_their_token(template: Template) -> None:
    (name,) = [n for n in of_type(template, "AWS::SecretsManager::Secret") if "MetricsToken" in n]
    named_by = [f for f, p in functions(template).items() if name in json.dumps(p)]
    assert named_by == ["status"]
    assert "MetricsToken" in template["Outputs"]
    assert json.loads(functions(template)["status"]["Environment"]["Variables"]["CHAINCAST_SETTINGS"])["metrics_token"]
