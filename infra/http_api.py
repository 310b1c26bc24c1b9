"""The HTTP API: what backends call to publish, and administrators to see and end connections (who may, API Gateway
decides before any function runs), pages for a ticket (by a token that the function checks), and everybody for how the
deployment is (figures by a token, too)."""

from __future__ import annotations

from aws_cdk import Duration
from aws_cdk import aws_apigatewayv2 as apigateway
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_secretsmanager as secrets
from aws_cdk.aws_apigatewayv2_authorizers import HttpIamAuthorizer, HttpJwtAuthorizer
from aws_cdk.aws_apigatewayv2_integrations import HttpLambdaIntegration
from constructs import Construct

from infra.auth import KnownSecret, known, let_read, named
from infra.fanout import Fanout
from infra.functions import FunctionFactory, allow
from infra.gateway import Gateway
from infra.nag import acknowledge
from infra.settings import CallersSettings, MonitoringSettings, PublishSettings
from infra.storage import Storage

STATUS_PATHS = (
    "/health", "/lb/status", "/status", "/metrics", "/docs", "/docs/asyncapi.json", "/docs/openapi.json"
)  # fmt: skip


class HttpApi(Construct):
    """`POST /publish`, `POST /ticket`, the administrators' routes and those that say how it is, as far as the
    configuration has them, each with a function of its own: what anybody may call has no right to publish."""

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
        jwt_secret: KnownSecret | None,
    ) -> None:
        super().__init__(scope, id_)
        self._storage = storage
        self._make = functions
        self.functions: dict[str, lambda_.Function] = {}
        self.api = apigateway.HttpApi(
            self, "Api", api_name="chaincast-http", description="Chaincast: what backends call"
        )
        assert self.api.default_stage is not None
        acknowledge(
            self.api.default_stage,
            "APIG1",
            "The function logs every request; API Gateway's own access logs need a role set for the whole account.",
        )
        self.url = self.api.api_endpoint
        if publish["auth"] != "off":
            self._publish(fanout, publish)
        if admin["auth"] != "off":
            self._admin(gateway, admin)
        if tickets:
            self._ticket(jwt_secret)
        self.figures_token: secrets.Secret | None = None
        if monitoring["auth"] != "off":
            self._status(fanout, gateway, jwt_secret, asks=monitoring["auth"] == "token")

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
        self._make.let_count(function)
        gateway.grant_manage(function, "DELETE")
        authorizer, integration = (
            _authorizer("administrators", admin),
            HttpLambdaIntegration("AdminIntegration", function),
        )
        read, end = apigateway.HttpMethod.GET, apigateway.HttpMethod.DELETE
        for path, methods in (
            ("/connections", [read]),
            ("/connections/{id}", [read, end]),
            ("/users/{user}/connections", [end]),
        ):
            self.api.add_routes(
                path=path,
                methods=methods,
                integration=integration,
                authorizer=authorizer,
                authorization_scopes=[admin["scope"]] if admin["auth"] == "jwt" else None,
            )

    def _ticket(self, jwt_secret: KnownSecret | None) -> None:
        function = self.functions["ticket"] = self._make.make(
            self,
            "Ticket",
            "ticket",
            environment=named(jwt_secret),
            timeout=Duration.seconds(10),
            memory_mb=1024,
        )
        allow(function, [self._storage.state.table_arn], "dynamodb:PutItem")
        self._make.let_count(function)
        let_read(function, jwt_secret)
        routes = self.api.add_routes(
            path="/ticket",
            methods=[apigateway.HttpMethod.POST, apigateway.HttpMethod.OPTIONS],
            integration=HttpLambdaIntegration("TicketIntegration", function),
        )
        for route in routes:
            acknowledge(route, "APIG4", "The function checks the token: by secret, keys or service, as configured.")

    def _status(self, fanout: Fanout, gateway: Gateway, jwt_secret: KnownSecret | None, *, asks: bool) -> None:
        queues = {
            "CHAINCAST_FANOUT_QUEUE_URL": fanout.queue,
            "CHAINCAST_FANOUT_DLQ_URL": fanout.dlq,
            "CHAINCAST_LIFECYCLE_QUEUE_URL": gateway.lifecycle_queue,
            "CHAINCAST_LIFECYCLE_DLQ_URL": gateway.lifecycle_dlq,
        }
        token = self._figures_token() if asks else None
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
                **({"CHAINCAST_FIGURES_TOKEN": token.id} if token else {}),
                **named(jwt_secret),
            },
            timeout=Duration.seconds(20),
            memory_mb=1024,
        )
        tables = (storage.connections, storage.subscriptions, storage.log, storage.history, storage.state)
        allow(function, [table.table_arn for table in tables], "dynamodb:GetItem")
        allow(function, [storage.state.table_arn], "dynamodb:BatchGetItem")
        for queue in queues.values():
            queue.grant(function, "sqs:GetQueueAttributes")
        self._make.let_count(function)
        let_read(function, jwt_secret)
        let_read(function, token)
        integration = HttpLambdaIntegration("StatusIntegration", function)
        for path in STATUS_PATHS:
            for route in self.api.add_routes(path=path, methods=[apigateway.HttpMethod.GET], integration=integration):
                acknowledge(route, "APIG4", "Health and documents are for everybody; for figures the function checks.")

    def _figures_token(self) -> KnownSecret:
        self.figures_token = secrets.Secret(
            self,
            "FiguresToken",
            description="Chaincast: the bearer token that /metrics and /status ask for",
            generate_secret_string=secrets.SecretStringGenerator(password_length=48, exclude_punctuation=True),
        )
        acknowledge(self.figures_token, "SMG4", "Whoever scrapes must learn of a new value at once: theirs to time.")
        return known(self.figures_token)


def _authorizer(name: str, callers: CallersSettings) -> apigateway.IHttpRouteAuthorizer:
    if callers["auth"] == "jwt":
        return HttpJwtAuthorizer(
            f"{name.capitalize()}Tokens", callers["issuer"], jwt_audience=callers["audience"], authorizer_name=name
        )
    return HttpIamAuthorizer()
