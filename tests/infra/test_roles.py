"""Tests that each role allows only the actions that its code takes.

tests/e2e/test_least_privilege.py shows that the roles allow all of them.
"""

from __future__ import annotations

import pytest

from tests.infra.conftest import Template
from tests.infra.reading import actions, of_type, statements

EXPECTED_ACTIONS = {
    "GatewayConnect": {
        "dynamodb:BatchGetItem",
        "dynamodb:DeleteItem",
        "dynamodb:PutItem",
        "dynamodb:UpdateItem",
        "secretsmanager:GetSecretValue",
        "sqs:SendMessage",
    },
    "GatewayDisconnect": {
        "dynamodb:BatchGetItem",
        "dynamodb:BatchWriteItem",
        "dynamodb:DeleteItem",
        "dynamodb:UpdateItem",
    },
    "HttpAdmin": {
        "dynamodb:BatchGetItem",
        "dynamodb:GetItem",
        "dynamodb:Scan",
        "dynamodb:UpdateItem",
        "execute-api:ManageConnections",
    },
    "HttpTicket": {"dynamodb:PutItem", "dynamodb:UpdateItem", "secretsmanager:GetSecretValue"},
    "HttpStatus": {
        "dynamodb:BatchGetItem",
        "dynamodb:GetItem",
        "dynamodb:UpdateItem",
        "secretsmanager:GetSecretValue",
        "sqs:GetQueueAttributes",
    },
    "GatewayMessage": {
        "dynamodb:BatchGetItem",
        "dynamodb:BatchWriteItem",
        "dynamodb:GetItem",
        "dynamodb:PutItem",
        "dynamodb:Query",
        "dynamodb:UpdateItem",
        "execute-api:ManageConnections",
        "secretsmanager:GetSecretValue",
        "sqs:SendMessage",
    },
    "GatewayLifecycle": {
        "dynamodb:BatchGetItem",
        "dynamodb:DeleteItem",
        "dynamodb:GetItem",
        "dynamodb:Query",
        "dynamodb:UpdateItem",
        "execute-api:ManageConnections",
        "sqs:SendMessage",
    },
    "GatewayHeartbeat": {
        "dynamodb:BatchGetItem",
        "dynamodb:BatchWriteItem",
        "dynamodb:DeleteItem",
        "dynamodb:GetItem",
        "dynamodb:Query",
        "dynamodb:UpdateItem",
        "execute-api:ManageConnections",
        "sqs:SendMessage",
    },
    "HttpFunction": {
        "dynamodb:GetItem",
        "dynamodb:PutItem",
        "dynamodb:Query",
        "dynamodb:UpdateItem",
        "sqs:SendMessage",
    },
    "ArchiveFunction": {"dynamodb:GetItem", "dynamodb:Query", "dynamodb:UpdateItem", "s3:PutObject"},
    "KafkaFunction": {
        "dynamodb:GetItem",
        "dynamodb:PutItem",
        "dynamodb:Query",
        "dynamodb:UpdateItem",
        "secretsmanager:DescribeSecret",
        "secretsmanager:GetSecretValue",
        "sqs:SendMessage",
    },
    "FanoutFunction": {
        "dynamodb:BatchGetItem",
        "dynamodb:BatchWriteItem",
        "dynamodb:DeleteItem",
        "dynamodb:GetItem",
        "dynamodb:PutItem",
        "dynamodb:Query",
        "dynamodb:Scan",
        "dynamodb:UpdateItem",
        "execute-api:ManageConnections",
        "sqs:ChangeMessageVisibility",
        "sqs:SendMessage",
    },
    "ListenerRole": {
        "dynamodb:PutItem",
        "dynamodb:Query",
        "dynamodb:UpdateItem",
        "dynamodb:BatchGetItem",
        "dynamodb:BatchWriteItem",
        "sqs:SendMessage",
    },
}
QUEUE_CONSUMER = {"sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"}
LOGGING = {"logs:CreateLogStream", "logs:PutLogEvents"}


@pytest.mark.parametrize("role", EXPECTED_ACTIONS)
def test_a_role_may_do_just_what_its_code_does(template: Template, role: str) -> None:
    expected = EXPECTED_ACTIONS[role]
    if role != "ListenerRole":
        expected = expected | LOGGING
    if role in ("GatewayLifecycle", "FanoutFunction"):
        expected = expected | QUEUE_CONSUMER
    assert actions(template, role) == expected


def test_no_policy_names_everything(template: Template) -> None:
    for policy in of_type(template, "AWS::IAM::Policy").values():
        for statement in policy["PolicyDocument"]["Statement"]:
            listed = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
            assert not any(action.endswith("*") for action in listed), listed
            if statement["Resource"] == "*":
                assert listed == ["ecr:GetAuthorizationToken"]


def test_connections_are_managed_by_method_and_stage(template: Template) -> None:
    managed: dict[str, set[str]] = {}
    for role in ("GatewayMessage", "GatewayLifecycle", "FanoutFunction", "GatewayHeartbeat", "HttpAdmin"):
        for statement in statements(template, role):
            if statement["Action"] == "execute-api:ManageConnections":
                listed = statement["Resource"]
                named = listed if isinstance(listed, list) else [listed]
                managed[role] = {resource["Fn::Join"][1][-1] for resource in named}
    get, post, delete = (f"/prod/{method}/@connections/*" for method in ("GET", "POST", "DELETE"))
    assert managed == {
        "GatewayMessage": {post, delete},
        "GatewayLifecycle": {post, delete},
        "FanoutFunction": {post, delete},
        "GatewayHeartbeat": {get, post, delete},
        "HttpAdmin": {delete},
    }
