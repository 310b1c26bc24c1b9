"""The CloudFormation stack, and its outputs."""

from __future__ import annotations

from aws_cdk import CfnOutput, RemovalPolicy, Stack
from constructs import Construct

from infra.archive import Archive
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
    """All AWS resources of one deployment of Chaincast."""

    def __init__(self, scope: Construct, id_: str, switches: Switches) -> None:
        super().__init__(scope, id_, description="Chaincast: blockchain events over managed WebSockets")
        configuration = read_configuration(switches)
        removal_policy = RemovalPolicy.RETAIN if switches.retains_data else RemovalPolicy.DESTROY
        storage = Storage(self, "Storage", removal_policy=removal_policy)
        functions = FunctionFactory(self, "Functions", configuration=configuration, switches=switches, storage=storage)
        auth = configuration["auth"]
        uses_secret = auth["mode"] != "off" and not (auth["jwks_url"] or auth["service_url"])
        jwt_secret = make_jwt_secret(self, auth["secret"]) if uses_secret else None
        gateway = Gateway(
            self,
            "Gateway",
            storage=storage,
            functions=functions,
            stage=switches.stage,
            requests_per_second=configuration["access"]["requests_per_second"],
            management_endpoint=switches.management_endpoint,
            jwt_secret=jwt_secret,
            tickets=auth["mode"] != "off",
        )
        fanout = Fanout(
            self,
            "Fanout",
            storage=storage,
            functions=functions,
            gateway=gateway,
            # The emulator has no limit of concurrency.
            reserved_concurrency=0 if switches.local else configuration["fanout"]["reserved_concurrency"],
        )
        http = None
        publish, admin, monitoring = configuration["publish"], configuration["admin"], configuration["monitoring"]
        if any(mode != "off" for mode in (auth["mode"], publish["auth"], admin["auth"], monitoring["auth"])):
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
        kafka_settings, kafka = configuration["kafka"], None
        if kafka_settings["bootstrap_servers"] or kafka_settings["cluster_arn"]:
            kafka = Kafka(self, "Kafka", storage=storage, fanout=fanout, functions=functions, settings=kafka_settings)
        archive_settings, archive = configuration["archive"], None
        if archive_settings["enabled"]:
            archive = Archive(
                self,
                "Archive",
                storage=storage,
                functions=functions,
                settings=archive_settings,
                removal_policy=removal_policy,
            )
            CfnOutput(
                self,
                "ArchiveBucket",
                value=archive.bucket.bucket_name,
                description="bucket of the archive: chaincast import-archive s3://NAME",
            )
        if configuration["console"]["enabled"] and not switches.local:  # `chaincast dev` serves the console itself
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
        fanout.grant_requeue(gateway.functions["heartbeat"], storage)
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
        if archive:
            deployed["archive"] = archive.function
        if kafka:
            deployed["kafka"] = kafka.function
        observability = Observability(
            self,
            "Observability",
            dead_letters={
                "Fanout": fanout.dlq,
                "Lifecycle": gateway.lifecycle_dlq,
                **({"Kafka": kafka.rejected} if kafka else {}),
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
        topic = observability.alarms.topic
        CfnOutput(self, "AlarmTopic", value=topic.topic_arn, description="SNS topic that all alarms notify")
        CfnOutput(self, "WebSocketUrl", value=gateway.url, description="URL that clients connect to")
        if http:
            CfnOutput(
                self,
                "HttpUrl",
                value=http.url,
                description="URL of the HTTP API: POST /publish, POST /ticket, GET /health and others",
            )
        if http and http.metrics_token:
            value = http.metrics_token.secret_arn
            CfnOutput(self, "MetricsToken", value=value, description="secret with the bearer token for /metrics")
        if jwt_secret:
            CfnOutput(self, "JwtSecret", value=jwt_secret.id, description="secret that client tokens are signed with")
        CfnOutput(self, "ApiId", value=gateway.api.api_id)
        CfnOutput(self, "ListenerRoleArn", value=listener.role.role_arn)
        for name, value in listener.environment.items():
            CfnOutput(self, "".join(p.capitalize() for p in name.split("_")[1:]), value=value)
