"""The HTTP API: what backends call to publish (who may, API Gateway decides before any function runs), and what pages
call for a ticket (with a token that the function checks)."""

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
from infra.nag import acknowledge
from infra.settings import PublishSettings
from infra.storage import Storage


class HttpApi(Construct):
    """`POST /publish` and `POST /ticket`, as far as the configuration has them, each with a function of its own: what
    anybody may call has no right to publish."""

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        storage: Storage,
        fanout: Fanout,
        functions: FunctionFactory,
        publish: PublishSettings,
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
            authorizer=self._authorizer(publish),
            authorization_scopes=[publish["scope"]] if publish["auth"] == "jwt" else None,
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

    def _authorizer(self, publish: PublishSettings) -> apigateway.IHttpRouteAuthorizer:
        if publish["auth"] == "jwt":
            return HttpJwtAuthorizer(
                "PublishersTokens", publish["issuer"], jwt_audience=publish["audience"], authorizer_name="publishers"
            )
        return HttpIamAuthorizer()
