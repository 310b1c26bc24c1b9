"""Tests of the template: tables, functions, routes, queues, listeners."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from chaincast.aws import environment as resources
from chaincast.config.function_settings import Settings
from chaincast.jobs.lifecycle_handler import MAX_RECEIVES
from infra.gateway import MESSAGE_ROUTES
from infra.http_api import STATUS_PATHS
from local.stack.checkout import ROOT
from tests.infra.conftest import CLUSTER, Resource, Template, synthesize
from tests.infra.environment import variables_read
from tests.infra.reading import actions, functions, of_type, statements
from tests.infra.test_roles import EXPECTED_ACTIONS
from tests.lambda_functions import TABLES

CLIENTS = {"connect", "disconnect", "message", "lifecycle", "heartbeat", "ticket", "status"}
FUNCTIONS = CLIENTS | {"fanout", "http", "admin", "kafka", "archive"}


ADMIN = (
    ("GET", "connections"),
    ("GET", "connections/{id}"),
    ("DELETE", "connections/{id}"),
    ("DELETE", "users/{user}/connections"),
)
TOKENS = (("POST", "ticket"), ("OPTIONS", "ticket"))
STATUS = tuple(("GET", path.removeprefix("/")) for path in STATUS_PATHS)
HTTP = (("POST", "publish"), *TOKENS, *ADMIN, *STATUS)


def test_cfn_lint_finds_nothing(assembly: Path) -> None:
    cfn_lint = Path(sys.executable).with_name("cfn-lint")
    command = [str(cfn_lint), "--non-zero-exit-code", "error", str(assembly / "Chaincast.template.json")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_an_invalid_configuration_ends_the_synthesis_with_the_validators_message(tmp_path: Path) -> None:
    bad = tmp_path / "bad.toml"
    bad.write_text("[networks.x]\nchain_id = 0\n")
    done = synthesize(tmp_path / "out", config=str(bad))
    assert done.returncode != 0
    assert "bad.toml:2: networks.x.chain_id = 0" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_environment_that_lambda_would_refuse_ends_the_synthesis(tmp_path: Path) -> None:
    denied = ", ".join(f'"10.0.{number}.0/24"' for number in range(250))
    config = tmp_path / "large.toml"
    config.write_text((ROOT / "chaincast.toml").read_text() + f"\n[access]\ndeny_ips = [{denied}]\n")
    done = synthesize(tmp_path / "out", config=str(config))
    assert done.returncode != 0
    assert "Lambda allows 4096" in done.stderr
    assert "deny_ips" in done.stderr
    assert "Traceback" not in done.stderr


def test_tables_are_on_demand_with_recovery_and_ttl_and_kept(template: Template) -> None:
    tables = of_type(template, "AWS::DynamoDB::GlobalTable")
    assert len(tables) == 5
    for name, table in tables.items():
        assert table["BillingMode"] == "PAY_PER_REQUEST"
        assert table["TimeToLiveSpecification"] == {"AttributeName": "expires_at", "Enabled": True}
        replica = table["Replicas"][0]
        assert replica["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"] is True
        assert template["Resources"][name]["DeletionPolicy"] == "Retain"


def test_tables_have_the_keys_that_the_integration_tests_use(template: Template) -> None:
    tables = of_type(template, "AWS::DynamoDB::GlobalTable").values()
    keys = {tuple(k["AttributeName"] for k in table["KeySchema"]) for table in tables}
    assert keys == {tuple(k for k in pair if k) for pair in TABLES.values()}


def test_functions_are_arm64_on_313_with_logs_that_expire(template: Template) -> None:
    properties = functions(template)
    assert set(properties) == FUNCTIONS
    for function in properties.values():
        assert function["Architectures"] == ["arm64"]
        assert function["Runtime"] == "python3.13"
        assert "LogGroup" in function["LoggingConfig"]
    assert all(g["RetentionInDays"] == 14 for g in of_type(template, "AWS::Logs::LogGroup").values())


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_a_function_has_the_environment_variables_that_its_module_reads(template: Template, name: str) -> None:
    environment = functions(template)[name]["Environment"]["Variables"]
    given = {variable for variable in environment if variable.startswith("CHAINCAST_")}
    assert given == variables_read(name) - {resources.COUNTER_SECONDS} | {"CHAINCAST_SETTINGS"}
    assert Settings.from_json(environment["CHAINCAST_SETTINGS"]).networks == ("bsc-testnet", "base")


def test_functions_of_the_local_stack_alone_wait_longer_for_their_counters(
    template: Template, local_template: Template
) -> None:
    variables = {name: f["Environment"]["Variables"] for name, f in functions(local_template).items()}
    assert {v[resources.COUNTER_SECONDS] for v in variables.values()} == {"5"}
    assert resources.COUNTER_SECONDS not in str(template)


def test_the_route_is_chosen_by_type_and_answers_go_back(template: Template) -> None:
    apis = {api["ProtocolType"]: api for api in of_type(template, "AWS::ApiGatewayV2::Api").values()}
    api = apis["WEBSOCKET"]
    assert api["RouteSelectionExpression"] == "$request.body.type"
    routes = {r["RouteKey"]: r for r in of_type(template, "AWS::ApiGatewayV2::Route").values()}
    assert set(routes) == {"$connect", "$disconnect", *MESSAGE_ROUTES, *(f"{verb} /{path}" for verb, path in HTTP)}
    answering = {key for key, route in routes.items() if route.get("RouteResponseSelectionExpression") == "$default"}
    assert answering == set(MESSAGE_ROUTES)
    assert len(of_type(template, "AWS::ApiGatewayV2::RouteResponse")) == len(MESSAGE_ROUTES)


def test_the_fanout_queue_keeps_order_and_its_dead_letters_too(template: Template) -> None:
    queues = of_type(template, "AWS::SQS::Queue")
    fifo = {name: q for name, q in queues.items() if q.get("FifoQueue")}
    assert len(fifo) == 2
    queue = next(q for q in fifo.values() if "RedrivePolicy" in q)
    assert queue["FifoThroughputLimit"] == "perMessageGroupId"
    assert queue["DeduplicationScope"] == "messageGroup"
    assert "ContentBasedDeduplication" not in queue
    dead_letters = queue["RedrivePolicy"]["deadLetterTargetArn"]["Fn::GetAtt"][0]
    assert dead_letters in fifo
    assert queue["RedrivePolicy"]["maxReceiveCount"] >= 10
    timeout = functions(template)["fanout"]["Timeout"]
    assert queue["VisibilityTimeout"] > timeout


def test_event_sources_report_partial_failures(template: Template) -> None:
    mappings = of_type(template, "AWS::Lambda::EventSourceMapping").values()
    assert len(mappings) == 4
    assert all(m["FunctionResponseTypes"] == ["ReportBatchItemFailures"] for m in mappings)


@pytest.mark.parametrize(
    ("key", "scope", "audience"),
    [
        ("POST /publish", "events/write", "backends"),
        *((f"{method} /{path}", "chaincast/admin", "operators") for method, path in ADMIN),
    ],
)
def test_publishing_and_administration_need_authorization(
    template: Template, jwt_template: Template, key: str, scope: str, audience: str
) -> None:
    def route(of: Template) -> Resource:
        return next(r for r in of_type(of, "AWS::ApiGatewayV2::Route").values() if r["RouteKey"] == key)

    assert route(template)["AuthorizationType"] == "AWS_IAM"
    guarded = route(jwt_template)
    assert (guarded["AuthorizationType"], guarded["AuthorizationScopes"]) == ("JWT", [scope])
    authorizer = jwt_template["Resources"][guarded["AuthorizerId"]["Ref"]]["Properties"]
    assert authorizer["JwtConfiguration"] == {"Issuer": "https://issuer.example", "Audience": [audience]}


def test_kafka_is_read_with_partial_failures_and_only_when_it_is_configured(
    template: Template, jwt_template: Template
) -> None:
    mappings = [m for m in of_type(template, "AWS::Lambda::EventSourceMapping").values() if "Topics" in m]
    assert sorted(m["Topics"][0] for m in mappings) == ["price.updates", "trade.notifications"]
    for mapping in mappings:
        assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
        assert mapping["ProvisionedPollerConfig"] == {"MinimumPollers": 1, "MaximumPollers": 4}
        assert mapping["SelfManagedEventSource"]["Endpoints"]["KafkaBootstrapServers"] == ["broker.example:9092"]
        assert mapping["SourceAccessConfigurations"][0]["Type"] == "SASL_SCRAM_512_AUTH"
    assert "kafka" not in functions(jwt_template)


def test_an_msk_cluster_is_read_with_iam_authentication(keys_template: Template) -> None:
    """Lambda Developer Guide, "Configuring Amazon MSK cluster permissions": the actions for IAM access control."""
    granted = {
        (action, resource)
        for statement in statements(keys_template, "KafkaFunction")
        for action in listed(statement["Action"])
        for resource in listed(statement["Resource"])
        if action.startswith("kafka-cluster:")
    }
    topics = [CLUSTER.replace(":cluster/", ":topic/") + f"/{name}" for name in ("price.updates", "trade.notifications")]
    groups = [
        CLUSTER.replace(":cluster/", ":group/") + f"/chaincast-{name}"
        for name in ("price-updates", "trade-notifications")
    ]
    assert granted == {
        ("kafka-cluster:Connect", CLUSTER),
        ("kafka-cluster:DescribeClusterDynamicConfiguration", CLUSTER),
        *((f"kafka-cluster:{name}", topic) for topic in topics for name in ("DescribeTopic", "ReadData")),
        *((f"kafka-cluster:{name}", group) for group in groups for name in ("DescribeGroup", "AlterGroup")),
    }
    mappings = [m for m in of_type(keys_template, "AWS::Lambda::EventSourceMapping").values() if "Topics" in m]
    assert {m["AmazonManagedKafkaEventSourceConfig"]["ConsumerGroupId"] for m in mappings} == {
        group.rsplit("/", 1)[1] for group in groups
    }


def test_only_replays_may_invoke_themselves(template: Template) -> None:
    """Lambda ends a chain of 16 invocations that a queue connects, and a replay is such a chain."""
    allowing = {name for name, f in functions(template).items() if f.get("RecursiveLoop") == "Allow"}
    assert allowing == {"lifecycle"}


def test_replays_and_public_routes_leave_concurrency_to_fanout(template: Template) -> None:
    names = {id_: f["Handler"].split(".")[1] for id_, f in of_type(template, "AWS::Lambda::Function").items()}
    limits = {
        names[m["FunctionName"]["Ref"]]: m.get("ScalingConfig", {}).get("MaximumConcurrency")
        for m in of_type(template, "AWS::Lambda::EventSourceMapping").values()
        if "Topics" not in m
    }
    assert limits == {"fanout": None, "lifecycle": 100}
    stages = of_type(template, "AWS::ApiGatewayV2::Stage").values()
    (http,) = [stage for stage in stages if stage["StageName"] == "$default"]
    settings = http["DefaultRouteSettings"]
    assert (settings["ThrottlingRateLimit"], settings["ThrottlingBurstLimit"]) == (200, 400)


def test_jobs_are_dead_letters_after_the_receives_that_the_handler_counts(template: Template) -> None:
    (queue,) = [q for id_, q in of_type(template, "AWS::SQS::Queue").items() if "LifecycleQueue" in id_]
    assert queue["RedrivePolicy"]["maxReceiveCount"] == MAX_RECEIVES


def listed(value: str | list[str]) -> list[str]:
    return value if isinstance(value, list) else [value]


def test_the_archive_is_private_encrypted_retained_and_optional(template: Template, jwt_template: Template) -> None:
    (bucket,) = of_type(template, "AWS::S3::Bucket").values()
    assert all(bucket["PublicAccessBlockConfiguration"].values())
    assert bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert bucket["LifecycleConfiguration"]["Rules"][0]["ExpirationInDays"] == 400
    (name,) = of_type(template, "AWS::S3::Bucket")
    assert template["Resources"][name]["DeletionPolicy"] == "Retain"
    assert of_type(jwt_template, "AWS::S3::Bucket") == {}


def test_readers_of_subscriptions_and_queue_are_updated_before_their_writers(template: Template) -> None:
    """When the number of shards grows, rows and messages of new shards have a reader before they are written."""
    names = template["Resources"]
    (fanout,) = (n for n in names if n.startswith("FanoutFunction") and names[n]["Type"] == "AWS::Lambda::Function")
    writers = [
        r
        for n, r in names.items()
        if r["Type"] == "AWS::ECS::Service" or (r["Type"] == "AWS::Lambda::Function" and n.startswith("GatewayMessage"))
    ]
    assert len(writers) == 3
    assert all(fanout in writer["DependsOn"] for writer in writers)


def test_a_listener_runs_for_each_network_without_nat_or_inbound_traffic(template: Template) -> None:
    services = of_type(template, "AWS::ECS::Service")
    assert len(services) == 2
    assert of_type(template, "AWS::EC2::NatGateway") == {}
    assert all("SecurityGroupIngress" not in g for g in of_type(template, "AWS::EC2::SecurityGroup").values())
    endpoint = next(iter(of_type(template, "AWS::EC2::VPCEndpoint").values()))
    assert endpoint["VpcEndpointType"] == "Gateway"
    container = next(iter(of_type(template, "AWS::ECS::TaskDefinition").values()))["ContainerDefinitions"][0]
    variables = {v["Name"] for v in container["Environment"]}
    wanted = {resources.LOG, resources.HISTORY, resources.STATE, resources.FANOUT_QUEUE, "CHAINCAST_NETWORK"}
    assert variables == wanted
    assert container["HealthCheck"]["Command"] == ["CMD", "python", "-m", "listener.health"]


def test_a_listener_has_the_size_that_its_network_configures(template: Template) -> None:
    tasks = of_type(template, "AWS::ECS::TaskDefinition").items()
    sizes = {name: (task["Cpu"], task["Memory"]) for name, task in tasks}
    assert {size for name, size in sizes.items() if "BscTestnet" in name} == {("512", "2048")}
    assert {size for name, size in sizes.items() if "Base" in name} == {("256", "512")}


def test_urls_with_keys_come_from_secrets_manager(template: Template) -> None:
    containers = [t["ContainerDefinitions"][0] for t in of_type(template, "AWS::ECS::TaskDefinition").values()]
    network = {v["Value"]: c for c in containers for v in c["Environment"] if v["Name"] == "CHAINCAST_NETWORK"}
    assert "Secrets" not in network["bsc-testnet"]
    (secret,) = network["base"]["Secrets"]
    assert secret["Name"] == "CHAINCAST_RPC_URL_BASE"
    assert json.dumps(secret["ValueFrom"]).count("chaincast/rpc") == 1
    assert ":base::" in json.dumps(secret["ValueFrom"])


def test_the_url_is_an_output(template: Template) -> None:
    assert "WebSocketUrl" in template["Outputs"]


def test_the_local_stack_is_the_same_but_for_services_and_the_platform(
    template: Template, local_template: Template
) -> None:
    assert of_type(local_template, "AWS::ECS::Service") == {}
    for type_ in ("AWS::ApiGatewayV2::Route", "AWS::SQS::Queue", "AWS::Lambda::EventSourceMapping"):
        assert len(of_type(local_template, type_)) == len(of_type(template, type_))
    roles = [name for name in EXPECTED_ACTIONS if actions(local_template, name) != actions(template, name)]
    assert roles == []
    assert {f["Runtime"] for f in functions(local_template).values()} == {"python3.11"}


def test_no_secret_and_no_rpc_url_is_in_the_template(template: Template) -> None:
    text = json.dumps(template)
    assert "node.example" not in text
    assert not re.search(r"AKIA[0-9A-Z]{16}|BEGIN [A-Z ]*PRIVATE KEY", text)


def test_clients_cannot_take_the_concurrency_that_fan_out_needs(template: Template) -> None:
    stages = [s for s in of_type(template, "AWS::ApiGatewayV2::Stage").values() if s["StageName"] == "prod"]
    (settings,) = [stage["DefaultRouteSettings"] for stage in stages]
    assert (settings["ThrottlingRateLimit"], settings["ThrottlingBurstLimit"]) == (5_000, 5_000)
    assert "ReservedConcurrentExecutions" not in str(template), "new accounts have too few to reserve any"


def test_concurrency_is_reserved_for_fan_out_if_configured(keys_template: Template) -> None:
    reserved = {name: f.get("ReservedConcurrentExecutions") for name, f in functions(keys_template).items()}
    assert {name: number for name, number in reserved.items() if number} == {"fanout": 20}
