"""The chain listeners: a small Fargate service for each network, in public subnets without NAT or inbound traffic."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from aws_cdk import Duration, IgnoreMode, RemovalPolicy
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from aws_cdk import aws_secretsmanager as secretsmanager
from aws_cdk.aws_ecr_assets import Platform
from constructs import Construct

from infra.fanout import Fanout
from infra.nag import acknowledge
from infra.settings import ROOT, NetworkSettings
from infra.storage import Storage


class Listener(Construct):
    """The role and the environment that all listeners share, and their services (none in a local stack)."""

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        storage: Storage,
        fanout: Fanout,
        networks: Mapping[str, NetworkSettings],
        config: Path,
        log_retention: logs.RetentionDays,
        local: bool,
    ) -> None:
        super().__init__(scope, id_)
        self._fanout = fanout
        self._log_retention = log_retention
        self.environment = {
            "CHAINCAST_LOG_TABLE": storage.log.table_name,
            "CHAINCAST_HISTORY_TABLE": storage.history.table_name,
            "CHAINCAST_STATE_TABLE": storage.state.table_name,
            "CHAINCAST_FANOUT_QUEUE_URL": fanout.queue.queue_url,
        }
        self.role = iam.Role(
            self,
            "Role",
            assumed_by=iam.ServicePrincipal("ecs-tasks.amazonaws.com"),
            description="Chaincast: permissions of a chain listener",
        )
        storage.log.grant(self.role, "dynamodb:PutItem", "dynamodb:Query")
        storage.history.grant(self.role, "dynamodb:BatchWriteItem")
        storage.state.grant(
            self.role,
            "dynamodb:UpdateItem",
            "dynamodb:Query",
            "dynamodb:BatchWriteItem",
            "dynamodb:BatchGetItem",
            "dynamodb:PutItem",
        )
        fanout.queue.grant(self.role, "sqs:SendMessage")
        self.services: list[ecs.FargateService] = [] if local else self._services(networks, config)

    def _services(self, networks: Mapping[str, NetworkSettings], config: Path) -> list[ecs.FargateService]:
        if not networks:
            return []
        vpc = ec2.Vpc(
            self,
            "Vpc",
            max_azs=2,
            nat_gateways=0,
            subnet_configuration=[ec2.SubnetConfiguration(name="public", subnet_type=ec2.SubnetType.PUBLIC)],
            gateway_endpoints={
                "DynamoDb": ec2.GatewayVpcEndpointOptions(service=ec2.GatewayVpcEndpointAwsService.DYNAMODB)
            },
            restrict_default_security_group=False,
        )
        acknowledge(
            vpc,
            "VPC7",
            "Inbound traffic is blocked and outbound traffic is RPC to configured nodes: flow logs would cost more "
            "than the listeners and add nothing to their own logs.",
        )
        cluster = ecs.Cluster(self, "Cluster", vpc=vpc, container_insights_v2=ecs.ContainerInsights.ENABLED)
        image = ecs.ContainerImage.from_asset(
            str(ROOT),
            file="listener/Dockerfile",
            build_args={"CONFIG": str(config.relative_to(ROOT))},
            platform=Platform.LINUX_ARM64,
            exclude=(ROOT / ".dockerignore").read_text().splitlines(),
            ignore_mode=IgnoreMode.DOCKER,
        )
        outward_only = ec2.SecurityGroup(
            self,
            "SecurityGroup",
            vpc=vpc,
            description="Chaincast listeners: no inbound traffic",
            allow_all_outbound=True,
        )
        return [self._service(name, network, cluster, image, outward_only) for name, network in networks.items()]

    def _secrets(self, name: str, settings: NetworkSettings) -> dict[str, ecs.Secret]:
        """Return the container secrets of RPC URLs that contain keys. The template has only the secret's name."""
        if not settings["rpc_secret"]:
            return {}
        secret_name, _, key = settings["rpc_secret"].partition("#")
        secret = secretsmanager.Secret.from_secret_name_v2(self, f"{name}RpcSecret", secret_name)
        return {settings["url_variable"]: ecs.Secret.from_secrets_manager(secret, key or None)}

    def _service(
        self,
        network: str,
        settings: NetworkSettings,
        cluster: ecs.Cluster,
        image: ecs.ContainerImage,
        group: ec2.SecurityGroup,
    ) -> ecs.FargateService:
        name = "".join(part.capitalize() for part in network.split("-"))
        task = ecs.FargateTaskDefinition(
            self,
            f"{name}Task",
            cpu=settings["cpu"],
            memory_limit_mib=settings["memory"],
            task_role=self.role,
            runtime_platform=ecs.RuntimePlatform(
                cpu_architecture=ecs.CpuArchitecture.ARM64, operating_system_family=ecs.OperatingSystemFamily.LINUX
            ),
        )
        environment: Mapping[str, str] = {**self.environment, "CHAINCAST_NETWORK": network}
        task.add_container(
            "listener",
            image=image,
            environment=environment,
            secrets=self._secrets(name, settings),
            logging=ecs.LogDrivers.aws_logs(
                stream_prefix=network,
                log_group=logs.LogGroup(
                    self, f"{name}Logs", retention=self._log_retention, removal_policy=RemovalPolicy.DESTROY
                ),
            ),
            health_check=ecs.HealthCheck(
                command=["CMD", "python", "-m", "listener.health"],
                interval=Duration.seconds(30),
                start_period=Duration.seconds(60),
            ),
            stop_timeout=Duration.seconds(30),
            readonly_root_filesystem=False,
        )
        acknowledge(task, "ECS2", "The variables are names of tables, a queue and a network, none of them secret.")
        assert task.execution_role is not None
        acknowledge(
            task.execution_role,
            "IAM5[Resource::*]",
            "ecr:GetAuthorizationToken does not support resources; all other actions name the repository.",
        )
        service = ecs.FargateService(
            self,
            f"{name}Service",
            cluster=cluster,
            task_definition=task,
            desired_count=1,
            # A deployment starts the new task first. It waits for the lease of the old one, so blocks are not delayed.
            min_healthy_percent=100,
            max_healthy_percent=200,
            assign_public_ip=True,
            vpc_subnets=ec2.SubnetSelection(subnet_type=ec2.SubnetType.PUBLIC),
            security_groups=[group],
            circuit_breaker=ecs.DeploymentCircuitBreaker(rollback=True),
        )
        # The reader of the queue must be updated before a new listener writes to it.
        service.node.add_dependency(self._fanout)
        return service
