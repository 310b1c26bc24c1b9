"""The WebSocket API, the functions behind its routes, the lifecycle queue and the heartbeat."""

from __future__ import annotations

from typing import cast

from aws_cdk import CfnElement, Duration, Stack
from aws_cdk import aws_apigatewayv2 as apigateway
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sqs as sqs
from aws_cdk.aws_apigatewayv2_integrations import WebSocketLambdaIntegration
from constructs import Construct

from infra.auth import SecretReference, grant_secret, secret_environment
from infra.functions import FunctionFactory, add_queue_trigger, allow
from infra.nag import acknowledge
from infra.storage import Storage

MESSAGE_ROUTES = ("subscribe", "unsubscribe", "ping", "get", "authenticate", "$default")
"""Routes for client messages. One function serves all; a separate route gives a message type its own metrics and
throttling in API Gateway."""

# The cleanup of connections (chaincast/sessions/cleanup.py) takes these actions:
DELETE_CONNECTION_ACTIONS = ("dynamodb:DeleteItem",)
"""Actions on table Connections that remove one record at a time."""
DELETE_CONNECTIONS_ACTIONS = ("dynamodb:BatchGetItem", "dynamodb:BatchWriteItem", *DELETE_CONNECTION_ACTIONS)
"""Actions on table Connections that remove many records at once."""
DELETE_SUBSCRIPTIONS_ACTIONS = ("dynamodb:BatchGetItem", "dynamodb:BatchWriteItem", "dynamodb:DeleteItem")
"""Actions on table Subscriptions that remove the rows of connections."""
MAX_LIFECYCLE_CONCURRENCY = 100
"""Invocations of the lifecycle function at once, each with ten jobs. Replays, which clients cause, then leave most of
the account's concurrency (1,000 by default) to fan-out."""
RELEASE_QUOTA_ACTIONS = ("dynamodb:UpdateItem",)
"""Actions on table State that lower the count of open connections."""


class Gateway(Construct):
    """The WebSocket API with its functions for `$connect`, `$disconnect`, messages, lifecycle jobs and heartbeat."""

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        storage: Storage,
        functions: FunctionFactory,
        stage: str,
        requests_per_second: int,
        management_endpoint: str | None,
        jwt_secret: SecretReference | None,
        tickets: bool,
    ) -> None:
        super().__init__(scope, id_)
        self._tickets = tickets
        self._stage = stage
        self._storage = storage
        self._functions = functions
        self.api = apigateway.WebSocketApi(
            self,
            "Api",
            api_name="chaincast",
            description="Chaincast: blockchain events over WebSocket",
            route_selection_expression="$request.body.type",
        )
        deployed = apigateway.WebSocketStage(
            self,
            "Stage",
            web_socket_api=self.api,
            stage_name=stage,
            auto_deploy=True,
            throttle=apigateway.ThrottleSettings(rate_limit=requests_per_second, burst_limit=requests_per_second),
        )
        acknowledge(
            deployed,
            "APIG1",
            "Every function logs its requests; access logs of API Gateway need a role set for the whole account.",
        )
        self.url = deployed.url
        self.management_endpoint = (
            management_endpoint.format(api=self.api.api_id, stage=stage)
            if management_endpoint
            else deployed.callback_url
        )
        self.lifecycle_dlq = sqs.Queue(self, "LifecycleDlq", enforce_ssl=True, retention_period=Duration.days(14))
        self.lifecycle_queue = sqs.Queue(
            self,
            "LifecycleQueue",
            enforce_ssl=True,
            visibility_timeout=Duration.seconds(60),
            retention_period=Duration.hours(3),  # API Gateway ends every connection after two hours
            dead_letter_queue=sqs.DeadLetterQueue(queue=self.lifecycle_dlq, max_receive_count=3),
        )
        self.functions: dict[str, lambda_.Function] = {
            "connect": self._connect(jwt_secret),
            "disconnect": self._disconnect(),
            "message": self._message(jwt_secret),
            "lifecycle": self._lifecycle(),
            "heartbeat": self._heartbeat(),
        }

    def grant_manage(self, function: lambda_.Function, method: str) -> None:
        """Allow a function to call one HTTP method of the API's `@connections`."""
        stack = Stack.of(self)
        resource = stack.format_arn(
            service="execute-api", resource=self.api.api_id, resource_name=f"{self._stage}/{method}/@connections/*"
        )
        allow(function, [resource], "execute-api:ManageConnections")
        api = f"<{stack.get_logical_id(cast(CfnElement, self.api.node.default_child))}>"
        assert function.role is not None
        acknowledge(
            function.role,
            "IAM5[Resource::arn:<AWS::Partition>:execute-api:<AWS::Region>:<AWS::AccountId>:"
            f"{api}/{self._stage}/{method}/@connections/*]",
            "Connection ids are not known at deployment; the ARN covers one method on the connections of one stage.",
        )

    def _connect(self, jwt_secret: SecretReference | None) -> lambda_.Function:
        function = self._functions.make(
            self,
            "Connect",
            "connect",
            environment={
                "CHAINCAST_CONNECTIONS_TABLE": self._storage.connections.table_name,
                "CHAINCAST_STATE_TABLE": self._storage.state.table_name,
                "CHAINCAST_LIFECYCLE_QUEUE_URL": self.lifecycle_queue.queue_url,
                **secret_environment(jwt_secret),
            },
            timeout=Duration.seconds(10),
            memory_mb=1024,
        )
        # BatchGetItem: to find counted connections that no longer exist.
        allow(function, [self._storage.connections.table_arn], "dynamodb:BatchGetItem", "dynamodb:PutItem")
        allow(function, [self._storage.state.table_arn], "dynamodb:UpdateItem")
        if self._tickets:
            allow(function, [self._storage.state.table_arn], "dynamodb:DeleteItem")
        grant_secret(function, jwt_secret)
        self.lifecycle_queue.grant(function, "sqs:SendMessage")
        self._route("$connect", function)
        return function

    def _disconnect(self) -> lambda_.Function:
        function = self._functions.make(
            self,
            "Disconnect",
            "disconnect",
            environment={
                "CHAINCAST_CONNECTIONS_TABLE": self._storage.connections.table_name,
                "CHAINCAST_SUBSCRIPTIONS_TABLE": self._storage.subscriptions.table_name,
                "CHAINCAST_STATE_TABLE": self._storage.state.table_name,
            },
            timeout=Duration.seconds(10),
            memory_mb=1024,
        )
        allow(function, [self._storage.connections.table_arn], *DELETE_CONNECTION_ACTIONS)
        allow(function, [self._storage.subscriptions.table_arn], *DELETE_SUBSCRIPTIONS_ACTIONS)
        allow(function, [self._storage.state.table_arn], *RELEASE_QUOTA_ACTIONS)
        self._route("$disconnect", function)
        return function

    def _message(self, jwt_secret: SecretReference | None) -> lambda_.Function:
        function = self._functions.make(
            self,
            "Message",
            "message",
            environment={
                "CHAINCAST_CONNECTIONS_TABLE": self._storage.connections.table_name,
                "CHAINCAST_SUBSCRIPTIONS_TABLE": self._storage.subscriptions.table_name,
                "CHAINCAST_LOG_TABLE": self._storage.log.table_name,
                "CHAINCAST_HISTORY_TABLE": self._storage.history.table_name,
                "CHAINCAST_STATE_TABLE": self._storage.state.table_name,
                "CHAINCAST_LIFECYCLE_QUEUE_URL": self.lifecycle_queue.queue_url,
                "CHAINCAST_MANAGEMENT_ENDPOINT": self.management_endpoint,
                **secret_environment(jwt_secret),
            },
            timeout=Duration.seconds(15),
            memory_mb=1024,
        )
        allow(
            function,
            [self._storage.connections.table_arn],
            "dynamodb:BatchGetItem",
            "dynamodb:ConditionCheckItem",
            "dynamodb:GetItem",
            "dynamodb:UpdateItem",
        )
        allow(
            function,
            [self._storage.subscriptions.table_arn],
            "dynamodb:BatchGetItem",
            "dynamodb:ConditionCheckItem",
            "dynamodb:DeleteItem",
            "dynamodb:PutItem",
            "dynamodb:UpdateItem",
        )
        allow(function, [self._storage.log.table_arn, self._storage.history.table_arn], "dynamodb:Query")
        allow(function, [self._storage.state.table_arn], "dynamodb:GetItem", "dynamodb:UpdateItem")
        self.lifecycle_queue.grant(function, "sqs:SendMessage")
        self.grant_manage(function, "POST")
        self.grant_manage(function, "DELETE")
        grant_secret(function, jwt_secret)
        for route in MESSAGE_ROUTES:
            self._route(route, function, returns_response=True)
        return function

    def _lifecycle(self) -> lambda_.Function:
        function = self._functions.make(
            self,
            "Lifecycle",
            "lifecycle",
            environment={
                "CHAINCAST_CONNECTIONS_TABLE": self._storage.connections.table_name,
                "CHAINCAST_SUBSCRIPTIONS_TABLE": self._storage.subscriptions.table_name,
                "CHAINCAST_LOG_TABLE": self._storage.log.table_name,
                "CHAINCAST_LIFECYCLE_QUEUE_URL": self.lifecycle_queue.queue_url,
                "CHAINCAST_MANAGEMENT_ENDPOINT": self.management_endpoint,
            },
            timeout=Duration.seconds(30),
            memory_mb=1024,
            # An unfinished replay enqueues its remainder, which ends with the log. Lambda would stop it after 16 steps.
            recursive_loop=lambda_.RecursiveLoop.ALLOW,
        )
        allow(function, [self._storage.connections.table_arn], "dynamodb:GetItem")
        allow(
            function,
            [self._storage.subscriptions.table_arn],
            "dynamodb:BatchGetItem",
            "dynamodb:DeleteItem",
            "dynamodb:GetItem",
            "dynamodb:UpdateItem",
        )
        allow(function, [self._storage.log.table_arn], "dynamodb:Query")
        self.lifecycle_queue.grant(function, "sqs:SendMessage")
        self.grant_manage(function, "POST")
        self.grant_manage(function, "DELETE")
        add_queue_trigger(function, self.lifecycle_queue, 10, MAX_LIFECYCLE_CONCURRENCY)
        self._functions.grant_counters(function)
        return function

    def _heartbeat(self) -> lambda_.Function:
        function = self._functions.make(
            self,
            "Heartbeat",
            "heartbeat",
            environment={
                "CHAINCAST_CONNECTIONS_TABLE": self._storage.connections.table_name,
                "CHAINCAST_SUBSCRIPTIONS_TABLE": self._storage.subscriptions.table_name,
                "CHAINCAST_MANAGEMENT_ENDPOINT": self.management_endpoint,
            },
            timeout=Duration.seconds(240),
            memory_mb=1769,  # one vCPU, because it posts to every connection of some dialects
        )
        connections = self._storage.connections.table_arn
        allow(function, [connections], "dynamodb:UpdateItem", *DELETE_CONNECTIONS_ACTIONS)
        allow(function, [f"{connections}/index/by_beat"], "dynamodb:Query")
        allow(function, [self._storage.subscriptions.table_arn], *DELETE_SUBSCRIPTIONS_ACTIONS)
        for method in ("GET", "POST", "DELETE"):
            self.grant_manage(function, method)
        events.Rule(
            self,
            "HeartbeatSchedule",
            description="Chaincast: ping connections, remove records of closed ones",
            schedule=events.Schedule.rate(Duration.minutes(5)),
            targets=[targets.LambdaFunction(function, retry_attempts=1)],
        )
        return function

    def _route(self, key: str, function: lambda_.Function, *, returns_response: bool = False) -> None:
        name = key.removeprefix("$").capitalize()
        route = self.api.add_route(
            key,
            integration=WebSocketLambdaIntegration(f"{name}Integration", function),
            return_response=returns_response,
        )
        acknowledge(
            route,
            "APIG4",
            "The functions authorize connections and subscriptions: a browser's WebSocket cannot send the headers "
            "that authorizers of API Gateway read, and topics may be public.",
        )
