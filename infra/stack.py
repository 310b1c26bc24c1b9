"""The one stack."""

from __future__ import annotations

from aws_cdk import CfnOutput, RemovalPolicy, Stack
from constructs import Construct

from infra.audit import Audit
from infra.auth import make_jwt_secret
from infra.console import LiveConsole
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

    def __init__(self, scope: Construct, id_: str, switches: Switches) -> None:
        super().__init__(scope, id_, description="Chaincast: blockchain events over managed WebSockets")
        configuration = read_configuration(switches)
        removal_policy = RemovalPolicy.RETAIN if switches.kept else RemovalPolicy.DESTROY
        storage = Storage(self, "Storage", removal_policy=removal_policy)
        functions = FunctionFactory(self, "Functions", configuration=configuration, switches=switches, storage=storage)
        auth = configuration["auth"]
        asks = auth["mode"] != "off" and not (auth["jwks_url"] or auth["service_url"])
        jwt_secret = make_jwt_secret(self, auth["secret"]) if asks else None
        gateway = Gateway(
            self,
            "Gateway",
            storage=storage,
            functions=functions,
            stage=switches.stage,
            management_endpoint=switches.management_endpoint,
            jwt_secret=jwt_secret,
            tickets=auth["mode"] != "off",
        )
        fanout = Fanout(self, "Fanout", storage=storage, functions=functions, gateway=gateway)
        http = None
        publish, admin, monitoring = configuration["publish"], configuration["admin"], configuration["monitoring"]
        if any(who != "off" for who in (auth["mode"], publish["auth"], admin["auth"], monitoring["auth"])):
            http = HttpApi(
                self,
                "Http",
                storage=storage,
                fanout=fanout,
                functions=functions,
                gateway=gateway,
                publish=publish,
                admin=admin,
                monitoring=monitoring,
                tickets=auth["mode"] != "off",
                jwt_secret=jwt_secret,
            )
        settings, kafka = configuration["kafka"], None
        if settings["bootstrap_servers"] or settings["cluster_arn"]:
            kafka = Kafka(self, "Kafka", storage=storage, fanout=fanout, functions=functions, settings=settings)
        auditing, audit = configuration["audit"], None
        if auditing["enabled"]:
            audit = Audit(
                self, "Audit", storage=storage, functions=functions, settings=auditing, removal_policy=removal_policy
            )
            CfnOutput(self, "ArchiveBucket", value=audit.bucket.bucket_name, description="chaincast replay s3://…")
        if configuration["console"]["enabled"] and not switches.local:  # the local stack serves it by itself
            console = LiveConsole(
                self,
                "Console",
                websocket_url=gateway.url,
                networks=tuple(configuration["networks"]),
                auth=auth["mode"],
                log_retention=functions.log_retention,
            )
            gateway.functions["connect"].add_environment("CHAINCAST_CONSOLE_ORIGIN", console.origin)
            CfnOutput(self, "ConsoleUrl", value=console.origin, description="the live console")
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
        observability = Observability(
            self,
            "Observability",
            dead_letters={
                "Fanout": fanout.dlq,
                "Lifecycle": gateway.lifecycle_dlq,
                **({"Kafka": kafka.poison} if kafka else {}),
            },
            fanout_queue=fanout.queue,
            lifecycle_queue=gateway.lifecycle_queue,
            functions=deployed,
            tables={
                "Connections": storage.connections,
                "Subscriptions": storage.subscriptions,
                "Log": storage.log,
                "History": storage.history,
                "State": storage.state,
            },
            networks=() if switches.local else tuple(configuration["networks"]),
            emails=monitoring["emails"],
        )
        CfnOutput(self, "AlarmTopic", value=observability.alarms.topic.topic_arn, description="who is told of alarms")
        CfnOutput(self, "WebSocketUrl", value=gateway.url, description="what clients connect to")
        if http:
            CfnOutput(
                self,
                "HttpUrl",
                value=http.url,
                description="what backends publish to (POST /publish), and where pages get tickets (POST /ticket)",
            )
        if http and http.figures_token:
            value = http.figures_token.secret_arn
            CfnOutput(self, "FiguresToken", value=value, description="the secret with the token for /metrics")
        if jwt_secret:
            CfnOutput(self, "JwtSecret", value=jwt_secret.id, description="what clients' tokens are signed with")
        CfnOutput(self, "ApiId", value=gateway.api.api_id)
        CfnOutput(self, "ListenerRoleArn", value=listener.role.role_arn)
        for name, value in listener.environment.items():
            CfnOutput(self, "".join(p.capitalize() for p in name.split("_")[1:]), value=value)
