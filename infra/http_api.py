"""The HTTP API: what backends call to publish, and administrators to end connections (who may, API Gateway decides
before any function runs), and pages for a ticket (by a token that the function checks)."""

from __future__ import annotations

from aws_cdk import Duration
from aws_cdk import aws_apigatewayv2 as apigateway
from aws_cdk import aws_lambda as lambda_
from aws_cdk.aws_apigatewayv2_authorizers import HttpIamAuthorizer, HttpJwtAuthorizer
from aws_cdk.aws_apigatewayv2_integrations import HttpLambdaIntegration
from constructs import Construct

from infra.auth import JwtSecret, let_read, named
from infra.fanout import Fanout
from infra.functions import FunctionFactory, allow
from infra.gateway import Gateway
from infra.nag import acknowledge
from infra.settings import CallersSettings, PublishSettings
from infra.storage import Storage


class HttpApi(Construct):
    """`POST /publish`, `POST /ticket` and the administrators' routes, as far as the configuration has them, each with a
    function of its own: what anybody may call has no right to publish."""

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
        tickets: bool,
        jwt_secret: JwtSecret | None,
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
                "CHAINCAST_STATE_TABLE": self._storage.state.table_name,
                "CHAINCAST_MANAGEMENT_ENDPOINT": gateway.management_endpoint,
            },
            timeout=Duration.seconds(29),
            memory_mb=1024,
        )
        allow(function, [self._storage.connections.table_arn], "dynamodb:BatchGetItem")
        allow(function, [self._storage.state.table_arn], "dynamodb:GetItem")
        gateway.grant_manage(function, "DELETE")
        authorizer, integration = (
            _authorizer("administrators", admin),
            HttpLambdaIntegration("AdminIntegration", function),
        )
        for path in ("/connections/{id}", "/users/{user}/connections"):
            self.api.add_routes(
                path=path,
                methods=[apigateway.HttpMethod.DELETE],
                integration=integration,
                authorizer=authorizer,
                authorization_scopes=[admin["scope"]] if admin["auth"] == "jwt" else None,
            )

    def _ticket(self, jwt_secret: JwtSecret | None) -> None:
        function = self.functions["ticket"] = self._make.make(
            self,
            "Ticket",
            "ticket",
            environment={"CHAINCAST_STATE_TABLE": self._storage.state.table_name, **named(jwt_secret)},
            timeout=Duration.seconds(10),
            memory_mb=1024,
        )
        allow(function, [self._storage.state.table_arn], "dynamodb:PutItem")
        let_read(function, jwt_secret)
        routes = self.api.add_routes(
            path="/ticket",
            methods=[apigateway.HttpMethod.POST, apigateway.HttpMethod.OPTIONS],
            integration=HttpLambdaIntegration("TicketIntegration", function),
        )
        for route in routes:
            acknowledge(route, "APIG4", "The function checks the token: by secret, keys or service, as configured.")


def _authorizer(name: str, callers: CallersSettings) -> apigateway.IHttpRouteAuthorizer:
    if callers["auth"] == "jwt":
        return HttpJwtAuthorizer(
            f"{name.capitalize()}Tokens", callers["issuer"], jwt_audience=callers["audience"], authorizer_name=name
        )
    return HttpIamAuthorizer()
