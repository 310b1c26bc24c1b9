"""The HTTP API: what backends call. Who may, API Gateway decides before any function runs."""

from __future__ import annotations

from aws_cdk import Duration
from aws_cdk import aws_apigatewayv2 as apigateway
from aws_cdk.aws_apigatewayv2_authorizers import HttpIamAuthorizer, HttpJwtAuthorizer
from aws_cdk.aws_apigatewayv2_integrations import HttpLambdaIntegration
from constructs import Construct

from infra.fanout import Fanout
from infra.functions import FunctionFactory
from infra.nag import acknowledge
from infra.settings import PublishSettings
from infra.storage import Storage


class HttpApi(Construct):
    """`POST /publish` and its function."""

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        storage: Storage,
        fanout: Fanout,
        functions: FunctionFactory,
        publish: PublishSettings,
    ) -> None:
        super().__init__(scope, id_)
        self.function = functions.make(
            self,
            "Function",
            "http",
            environment=fanout.append_environment(storage),
            timeout=Duration.seconds(29),
            memory_mb=1024,
        )
        fanout.grant_append(self.function, storage)
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
        self.api.add_routes(
            path="/publish",
            methods=[apigateway.HttpMethod.POST],
            integration=HttpLambdaIntegration("PublishIntegration", self.function),
            authorizer=self._authorizer(publish),
            authorization_scopes=[publish["scope"]] if publish["auth"] == "jwt" else None,
        )

    def _authorizer(self, publish: PublishSettings) -> apigateway.IHttpRouteAuthorizer:
        if publish["auth"] == "jwt":
            return HttpJwtAuthorizer(
                "PublishersTokens", publish["issuer"], jwt_audience=publish["audience"], authorizer_name="publishers"
            )
        return HttpIamAuthorizer()
