"""The HTTP API: publishing, administration, tickets and status.

API Gateway authorizes backends that publish and administrators that list or close connections, before any function
runs. The functions themselves check the token of a client that requests a ticket, and the token for metrics. Health and
documentation are public.
"""

from __future__ import annotations

from typing import cast

from aws_cdk import Duration
from aws_cdk import aws_apigatewayv2 as apigateway
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_secretsmanager as secrets
from aws_cdk.aws_apigatewayv2_authorizers import HttpIamAuthorizer, HttpJwtAuthorizer
from aws_cdk.aws_apigatewayv2_integrations import HttpLambdaIntegration
from constructs import Construct

from infra.auth import SecretReference, grant_secret, secret_environment, secret_reference
from infra.fanout import Fanout
from infra.functions import FunctionFactory, allow
from infra.gateway import Gateway
from infra.nag import acknowledge
from infra.settings import CallersSettings, MonitoringSettings, PublishSettings
from infra.storage import Storage

STATUS_PATHS = (
    "/health", "/lb/status", "/status", "/metrics", "/docs", "/docs/asyncapi.json", "/docs/openapi.json"
)  # fmt: skip

REQUESTS_PER_SECOND, BURST_REQUESTS = 200, 400
"""Throttle of the stage: /health and /ticket are public, and each request is an invocation, of which the account has
1,000 at once by default."""


class HttpApi(Construct):
    """The routes that the configuration enables: `POST /publish`, `POST /ticket`, administration, and status.

    Each group has its own function, so that the role behind a public route has no permission to publish.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        storage: Storage,
        fanout: Fanout,
        functions: FunctionFactory,
        gateway: Gateway,
        publish: PublishSettings,
        admin: CallersSettings,
        monitoring: MonitoringSettings,
        tickets: bool,
        jwt_secret: SecretReference | None,
    ) -> None:
        super().__init__(scope, id_)
        self._storage = storage
        self._make = functions
        self.functions: dict[str, lambda_.Function] = {}
        self.api = apigateway.HttpApi(
            self, "Api", api_name="chaincast-http", description="Chaincast: publishing, administration, status"
        )
        assert self.api.default_stage is not None
        stage = cast(apigateway.CfnStage, self.api.default_stage.node.default_child)
        stage.default_route_settings = apigateway.CfnStage.RouteSettingsProperty(
            throttling_rate_limit=REQUESTS_PER_SECOND, throttling_burst_limit=BURST_REQUESTS
        )
        acknowledge(
            self.api.default_stage,
            "APIG1",
            "The functions log every request; access logs of API Gateway need a role set for the whole account.",
        )
        self.url = self.api.api_endpoint
        if publish["auth"] != "off":
            self._publish(fanout, publish)
        if admin["auth"] != "off":
            self._admin(gateway, admin)
        if tickets:
            self._ticket(jwt_secret)
        self.metrics_token: secrets.Secret | None = None
        """The secret with the bearer token for /metrics and /status; None if they need none."""
        if monitoring["auth"] != "off":
            self._status(fanout, gateway, jwt_secret, requires_token=monitoring["auth"] == "token")

    def _publish(self, fanout: Fanout, publish: PublishSettings) -> None:
        function = self.functions["http"] = self._make.make(
            self,
            "Function",
            "http",
            environment=fanout.append_environment(self._storage),
            timeout=Duration.seconds(29),
            memory_mb=1024,
        )
        fanout.grant_append(function, self._storage)
        self.api.add_routes(
            path="/publish",
            methods=[apigateway.HttpMethod.POST],
            integration=HttpLambdaIntegration("PublishIntegration", function),
            authorizer=_authorizer("publishers", publish),
            authorization_scopes=[publish["scope"]] if publish["auth"] == "jwt" else None,
        )

    def _admin(self, gateway: Gateway, admin: CallersSettings) -> None:
        function = self.functions["admin"] = self._make.make(
            self,
            "Admin",
            "admin",
            environment={
                "CHAINCAST_CONNECTIONS_TABLE": self._storage.connections.table_name,
                "CHAINCAST_SUBSCRIPTIONS_TABLE": self._storage.subscriptions.table_name,
                "CHAINCAST_MANAGEMENT_ENDPOINT": gateway.management_endpoint,
            },
            timeout=Duration.seconds(29),
            memory_mb=1024,
        )
        allow(function, [self._storage.connections.table_arn], "dynamodb:BatchGetItem", "dynamodb:Scan")
        allow(function, [self._storage.subscriptions.table_arn], "dynamodb:BatchGetItem")
        allow(function, [self._storage.state.table_arn], "dynamodb:GetItem")
        self._make.grant_counters(function)
        gateway.grant_manage(function, "DELETE")
        authorizer, integration = (
            _authorizer("administrators", admin),
            HttpLambdaIntegration("AdminIntegration", function),
        )
        get, delete = apigateway.HttpMethod.GET, apigateway.HttpMethod.DELETE
        for path, methods in (
            ("/connections", [get]),
            ("/connections/{id}", [get, delete]),
            ("/users/{user}/connections", [delete]),
        ):
            self.api.add_routes(
                path=path,
                methods=methods,
                integration=integration,
                authorizer=authorizer,
                authorization_scopes=[admin["scope"]] if admin["auth"] == "jwt" else None,
            )

    def _ticket(self, jwt_secret: SecretReference | None) -> None:
        function = self.functions["ticket"] = self._make.make(
            self,
            "Ticket",
            "ticket",
            environment=secret_environment(jwt_secret),
            timeout=Duration.seconds(10),
            memory_mb=1024,
        )
        allow(function, [self._storage.state.table_arn], "dynamodb:PutItem")
        self._make.grant_counters(function)
        grant_secret(function, jwt_secret)
        routes = self.api.add_routes(
            path="/ticket",
            methods=[apigateway.HttpMethod.POST, apigateway.HttpMethod.OPTIONS],
            integration=HttpLambdaIntegration("TicketIntegration", function),
        )
        for route in routes:
            acknowledge(route, "APIG4", "The function checks the token: by secret, keys or service, as configured.")

    def _status(
        self, fanout: Fanout, gateway: Gateway, jwt_secret: SecretReference | None, *, requires_token: bool
    ) -> None:
        queues = {
            "CHAINCAST_FANOUT_QUEUE_URL": fanout.queue,
            "CHAINCAST_FANOUT_DLQ_URL": fanout.dlq,
            "CHAINCAST_LIFECYCLE_QUEUE_URL": gateway.lifecycle_queue,
            "CHAINCAST_LIFECYCLE_DLQ_URL": gateway.lifecycle_dlq,
        }
        token = self._make_metrics_token() if requires_token else None
        storage = self._storage
        function = self.functions["status"] = self._make.make(
            self,
            "Status",
            "status",
            environment={
                "CHAINCAST_CONNECTIONS_TABLE": storage.connections.table_name,
                "CHAINCAST_SUBSCRIPTIONS_TABLE": storage.subscriptions.table_name,
                "CHAINCAST_LOG_TABLE": storage.log.table_name,
                "CHAINCAST_HISTORY_TABLE": storage.history.table_name,
                **{name: queue.queue_url for name, queue in queues.items()},
                **({"CHAINCAST_METRICS_TOKEN": token.id} if token else {}),
                **secret_environment(jwt_secret),
            },
            timeout=Duration.seconds(20),
            memory_mb=1024,
        )
        tables = (storage.connections, storage.subscriptions, storage.log, storage.history, storage.state)
        allow(function, [table.table_arn for table in tables], "dynamodb:GetItem")
        allow(function, [storage.state.table_arn], "dynamodb:BatchGetItem")
        for queue in queues.values():
            queue.grant(function, "sqs:GetQueueAttributes")
        self._make.grant_counters(function)
        grant_secret(function, jwt_secret)
        grant_secret(function, token)
        integration = HttpLambdaIntegration("StatusIntegration", function)
        for path in STATUS_PATHS:
            for route in self.api.add_routes(path=path, methods=[apigateway.HttpMethod.GET], integration=integration):
                acknowledge(route, "APIG4", "Health and documents are public; the function checks the metrics token.")

    def _make_metrics_token(self) -> SecretReference:
        self.metrics_token = secrets.Secret(
            self,
            "MetricsToken",
            description="Chaincast: the bearer token for /metrics and /status",
            generate_secret_string=secrets.SecretStringGenerator(password_length=48, exclude_punctuation=True),
        )
        acknowledge(
            self.metrics_token, "SMG4", "Scrapers must switch to a new value at the same time: teams rotate it."
        )
        return secret_reference(self.metrics_token)


def _authorizer(name: str, callers: CallersSettings) -> apigateway.IHttpRouteAuthorizer:
    if callers["auth"] == "jwt":
        return HttpJwtAuthorizer(
            f"{name.capitalize()}Tokens", callers["issuer"], jwt_audience=callers["audience"], authorizer_name=name
        )
    return HttpIamAuthorizer()
