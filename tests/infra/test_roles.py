"""Tests that each role allows only the actions that its code takes.

tests/e2e/test_least_privilege.py shows that the roles allow all of them.
"""

from __future__ import annotations

from typing import Any

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
        "dynamodb:ConditionCheckItem",
        "dynamodb:DeleteItem",
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


WILDCARDS = {
    ("execute-api:ManageConnections", "/prod/GET/@connections/*"),
    ("execute-api:ManageConnections", "/prod/POST/@connections/*"),
    ("execute-api:ManageConnections", "/prod/DELETE/@connections/*"),
    ("s3:PutObject", "/source=*"),
    ("ecr:GetAuthorizationToken", "*"),  # which has no resources
}
"""The resources with a wildcard: the first action of their statement, and their end."""


def test_no_policy_has_other_wildcards(template: Template, keys_template: Template, jwt_template: Template) -> None:
    found = set()
    for policies in (of_type(t, "AWS::IAM::Policy") for t in (template, keys_template, jwt_template)):
        for name, policy in policies.items():
            if name.startswith("CustomCDKBucketDeployment"):  # CDK's own, which copies the console's files
                continue
            for statement in policy["PolicyDocument"]["Statement"]:
                listed = _list(statement["Action"])
                assert not any("*" in action for action in listed), listed
                for resource in _list(statement["Resource"]):
                    end = resource if isinstance(resource, str) else resource.get("Fn::Join", ["", [""]])[1][-1]
                    if "*" in str(resource):
                        found.add((listed[0], end))
    assert found == WILDCARDS


def test_resource_policies_allow_the_services_that_use_the_resource(
    template: Template, keys_template: Template, jwt_template: Template
) -> None:
    """A policy with only a Deny replaces the default one, which lets services of the account in (topics)."""
    assert _allowed(template) == _needed(template) == {("sns:Publish", "cloudwatch.amazonaws.com")}
    assert _allowed(jwt_template) == _needed(jwt_template) == {("sns:Publish", "cloudwatch.amazonaws.com")}
    with_console = {("sns:Publish", "cloudwatch.amazonaws.com"), ("s3:GetObject", "cloudfront.amazonaws.com")}
    assert _allowed(keys_template) == _needed(keys_template) == with_console


def _needed(template: Template) -> set[tuple[str, str]]:
    """Return action and principal of each service that uses a topic, queue or bucket without a role of ours."""
    uses = {
        "AWS::CloudWatch::Alarm": ("AlarmActions", ("sns:Publish", "cloudwatch.amazonaws.com")),
        "AWS::CloudFront::Distribution": ("DistributionConfig", ("s3:GetObject", "cloudfront.amazonaws.com")),
        "AWS::SNS::Subscription": ("RedrivePolicy", ("sqs:SendMessage", "sns.amazonaws.com")),
        "AWS::S3::Bucket": ("LoggingConfiguration", ("s3:PutObject", "logging.s3.amazonaws.com")),
    }
    needed = {need for type_, (key, need) in uses.items() if any(key in p for p in of_type(template, type_).values())}
    targets = str([rule["Targets"] for rule in of_type(template, "AWS::Events::Rule").values()])
    if any(f"'{queue}'" in targets for queue in of_type(template, "AWS::SQS::Queue")):
        needed.add(("sqs:SendMessage", "events.amazonaws.com"))
    return needed


def _allowed(template: Template) -> set[tuple[str, str]]:
    """Return action and principal of all statements in resource policies that allow something."""
    allowed = set()
    for type_ in ("AWS::SNS::TopicPolicy", "AWS::SQS::QueuePolicy", "AWS::S3::BucketPolicy"):
        for policy in of_type(template, type_).values():
            for statement in policy["PolicyDocument"]["Statement"]:
                if statement["Effect"] == "Allow":
                    assert statement["Condition"], "a service acts for any account without a condition"
                    services = _list(statement["Principal"]["Service"])
                    allowed |= {(a, service) for a in _list(statement["Action"]) for service in services}
    return allowed


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


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
