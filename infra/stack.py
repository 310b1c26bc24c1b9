"""The one stack."""

from __future__ import annotations

from aws_cdk import CfnOutput, RemovalPolicy, Stack
from constructs import Construct

from infra.audit import Audit
from infra.auth import make_jwt_secret
from infra.fanout import Fanout
from infra.functions import FunctionFactory
from infra.gateway import Gateway
from infra.http_api import HttpApi
from infra.kafka import Kafka
from infra.listener import Listener
from infra.observability import Observability
from infra.settings import Switches, read_configuration
from infra.storage import Storage


class ChaincastStack(Stack):
    """Everything that Chaincast runs on."""

    def __init__(self, scope: Construct, id_: str) -> None:
        super().__init__(scope, id_, description="Chaincast: blockchain events over managed WebSockets")
        switches = Switches.of(self.node)
        configuration = read_configuration(switches)
        storage = Storage(
            self, "Storage", removal_policy=RemovalPolicy.DESTROY if switches.local else RemovalPolicy.RETAIN
        )
        functions = FunctionFactory(self, "Functions", configuration=configuration, switches=switches)
        auth = configuration["auth"]
        asks = auth["mode"] != "off" and not (auth["jwks_url"] or auth["service_url"])
        jwt_secret = make_jwt_secret(self, auth["secret"]) if asks else None
        gateway = Gateway(
            self,
            "Gateway",
            storage=storage,
            functions=functions,
            management_endpoint=switches.management_endpoint,
            jwt_secret=jwt_secret,
            tickets=auth["mode"] != "off",
        )
        fanout = Fanout(self, "Fanout", storage=storage, functions=functions, gateway=gateway)
        publish = configuration["publish"]
        http = None
        admin = configuration["admin"]
        if publish["auth"] != "off" or admin["auth"] != "off" or auth["mode"] != "off":
            http = HttpApi(
                self,
                "Http",
                storage=storage,
                fanout=fanout,
                functions=functions,
                gateway=gateway,
                publish=publish,
                admin=admin,
                tickets=auth["mode"] != "off",
                jwt_secret=jwt_secret,
            )
        settings, kafka = configuration["kafka"], None
        if settings["bootstrap_servers"] or settings["cluster_arn"]:
            kafka = Kafka(self, "Kafka", storage=storage, fanout=fanout, functions=functions, settings=settings)
        removal_policy = RemovalPolicy.DESTROY if switches.local else RemovalPolicy.RETAIN
        auditing, audit = configuration["audit"], None
        if auditing["enabled"]:
            audit = Audit(
                self, "Audit", storage=storage, functions=functions, settings=auditing, removal_policy=removal_policy
            )
            CfnOutput(self, "ArchiveBucket", value=audit.bucket.bucket_name, description="chaincast replay s3://…")
        fanout.heal_from(gateway.functions["heartbeat"], storage)
        listener = Listener(
            self,
            "Listener",
            storage=storage,
            fanout=fanout,
            networks=configuration["networks"],
            config=switches.config,
            log_retention=functions.log_retention,
            local=switches.local,
        )
        deployed = {**gateway.functions, "fanout": fanout.function}
        if http:
            deployed |= http.functions
        if audit:
            deployed["archive"] = audit.function
        if kafka:
            deployed["kafka"] = kafka.function
        Observability(
            self,
            "Observability",
            dead_letters={
                "Fanout": fanout.dlq,
                "Lifecycle": gateway.lifecycle_dlq,
                **({"Kafka": kafka.poison} if kafka else {}),
            },
            fanout_queue=fanout.queue,
            functions=deployed,
            networks=() if switches.local else tuple(configuration["networks"]),
        )
        CfnOutput(self, "WebSocketUrl", value=gateway.url, description="what clients connect to")
        if http:
            CfnOutput(
                self,
                "HttpUrl",
                value=http.url,
                description="what backends publish to (POST /publish), and where pages get tickets (POST /ticket)",
            )
        if jwt_secret:
            CfnOutput(self, "JwtSecret", value=jwt_secret.id, description="what clients' tokens are signed with")
        CfnOutput(self, "ApiId", value=gateway.api.api_id)
        CfnOutput(self, "ListenerRoleArn", value=listener.role.role_arn)
        for name, value in listener.environment.items():
            CfnOutput(self, "".join(p.capitalize() for p in name.split("_")[1:]), value=value)
