"""The factory of the stack's Lambda functions, and the grants that they share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from aws_cdk import Duration, RemovalPolicy, Token
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.bundling import code_directory, layer_directory, layers_of
from infra.nag import acknowledge
from infra.settings import Configuration, InvalidConfiguration, Switches
from infra.storage import Storage

MAX_ENVIRONMENT_BYTES = 4096
"""Size of all environment variables of a function, names included. Source: "Lambda quotas"."""

_REFERENCE_BYTES = 130
"""Assumed size of a value that is known only after deployment. URLs of queues are the longest."""


class FunctionFactory(Construct):
    """Makes Lambda functions with common settings. Owns the layers of packages that they share."""

    def __init__(
        self, scope: Construct, id_: str, *, configuration: Configuration, switches: Switches, storage: Storage
    ) -> None:
        super().__init__(scope, id_)
        self._settings = configuration["settings"]
        self._state = storage.state
        self._tracing = lambda_.Tracing.ACTIVE if configuration["monitoring"]["tracing"] else lambda_.Tracing.DISABLED
        self.log_retention = logs.RetentionDays[_RETENTION[configuration["retention"]["cloudwatch_log_days"]]]
        self._runtime = lambda_.Runtime(f"python{switches.python}", lambda_.RuntimeFamily.PYTHON)
        self._kinds = configuration["publish"]["kinds"]
        self._switches = switches
        self._layers: dict[str, lambda_.LayerVersion] = {}

    def make(
        self,
        scope: Construct,
        id_: str,
        module: str,
        *,
        environment: Mapping[str, str],
        timeout: Duration,
        memory_mb: int,
        recursive_loop: lambda_.RecursiveLoop | None = None,
        reserved_concurrency: int | None = None,
    ) -> lambda_.Function:
        """Return a Lambda function of `functions/{module}.py` with its own log group and role.

        `recursive_loop`: whether Lambda ends a chain of about 16 invocations, each of which sent the message that
        caused the next ("Use Lambda recursive loop detection to prevent infinite loops"). None: it does.
        """
        log_group = logs.LogGroup(
            scope, f"{id_}Logs", retention=self.log_retention, removal_policy=RemovalPolicy.DESTROY
        )
        role = iam.Role(scope, f"{id_}Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
        log_group.grant_write(role)
        variables = {
            "CHAINCAST_SETTINGS": self._settings,
            "POWERTOOLS_SERVICE_NAME": module,
            "POWERTOOLS_METRICS_NAMESPACE": "Chaincast",
            "CHAINCAST_STATE_TABLE": self._state.table_name,
            # The emulator may be slow, and nothing waits there for the functions (chaincast/metrics/recorder.py).
            **({"CHAINCAST_COUNTER_SECONDS": "5"} if self._switches.local else {}),
            **environment,
        }
        check_environment(module, variables)
        function = lambda_.Function(
            scope,
            id_,
            role=role,
            description=f"Chaincast: functions/{module}.py",
            runtime=self._runtime,
            architecture=lambda_.Architecture.ARM_64,
            code=lambda_.Code.from_asset(str(self._code(module))),
            layers=[self._layer(name) for name in layers_of(module)],
            handler=f"functions.{module}.handler",
            environment=variables,
            timeout=timeout,
            memory_size=memory_mb,
            log_group=log_group,
            tracing=self._tracing,
            recursive_loop=recursive_loop,
            reserved_concurrent_executions=reserved_concurrency,
        )
        if self._tracing is lambda_.Tracing.ACTIVE:
            acknowledge(role, "IAM5[Resource::*]", "The actions of X-Ray do not support resource-level permissions.")
        acknowledge(
            function,
            "L1",
            "The pinned packages are bundled for this version of the runtime; both are upgraded together.",
        )
        return function

    def _code(self, module: str) -> Path:
        return code_directory(module, self._kinds, self._settings, self._switches.python)

    def _layer(self, name: str) -> lambda_.LayerVersion:
        if name not in self._layers:
            self._layers[name] = lambda_.LayerVersion(
                self,
                f"{name.capitalize()}Packages",
                code=lambda_.Code.from_asset(str(layer_directory(name, self._switches))),
                compatible_architectures=[lambda_.Architecture.ARM_64],
                compatible_runtimes=[self._runtime],
                description=f"Chaincast's pinned packages: {name} (infra/bundling.py)",
            )
        return self._layers[name]

    def grant_counters(self, function: lambda_.Function) -> None:
        """Allow a function to update its stored counters in table State, and nothing else there."""
        function.add_to_role_policy(
            iam.PolicyStatement(
                actions=["dynamodb:UpdateItem"],
                resources=[self._state.table_arn],
                conditions={"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["counts/*"]}},
            )
        )


def check_environment(module: str, variables: Mapping[str, str]) -> None:
    """Check that a function's variables fit into the 4 KB that Lambda allows for all of them.

    Raises `InvalidConfiguration`. CloudFormation would notice in the middle of a deployment.
    """
    size = sum(
        len(name) + (_REFERENCE_BYTES if Token.is_unresolved(v) else len(v.encode())) for name, v in variables.items()
    )
    if size > MAX_ENVIRONMENT_BYTES:
        settings = len(variables["CHAINCAST_SETTINGS"].encode())
        raise InvalidConfiguration(
            f"chaincast: the environment of functions/{module}.py has {size} bytes ({settings} are settings): Lambda "
            f"allows {MAX_ENVIRONMENT_BYTES}; configure fewer networks or fewer addresses in allow_ips, deny_ips, "
            "exempt_ips and origins"
        )


def allow(function: lambda_.Function, resources: Sequence[str], *actions: str) -> None:
    """Allow a function these actions on these ARNs only. The `grant` of a CDK table would add all its indexes."""
    function.add_to_role_policy(iam.PolicyStatement(actions=list(actions), resources=list(resources)))


def add_queue_trigger(
    function: lambda_.Function, queue: sqs.IQueue, batch_size: int, max_concurrency: int | None = None
) -> None:
    """Invoke a function with the messages of a queue, at most `max_concurrency` (None: no limit) times at once.

    Its role gets the three actions that Lambda requires ("Creating and configuring an Amazon SQS event source mapping",
    execution role permissions). The CDK's own event source would grant two more.
    """
    function.add_event_source_mapping(
        "Queue",
        event_source_arn=queue.queue_arn,
        batch_size=batch_size,
        report_batch_item_failures=True,
        max_concurrency=max_concurrency,
    )
    queue.grant(function, "sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes")


_RETENTION = {
    1: "ONE_DAY",
    3: "THREE_DAYS",
    5: "FIVE_DAYS",
    7: "ONE_WEEK",
    14: "TWO_WEEKS",
    30: "ONE_MONTH",
    60: "TWO_MONTHS",
    90: "THREE_MONTHS",
    180: "SIX_MONTHS",
    365: "ONE_YEAR",
}
