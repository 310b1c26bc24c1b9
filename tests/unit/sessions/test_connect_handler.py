"""Tests of the connect handler with fakes: admission, authentication, jobs and refusals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from chaincast.aws.lambda_events import WebSocketResponse
from chaincast.config.function_settings import Settings
from chaincast.errors import Code, RequestError
from chaincast.jobs.messages import Deadline, Greet, Requirement
from chaincast.policy.rate_limits import Limits
from chaincast.protocol.commands import User
from chaincast.sessions.connect_handler import AUTHENTICATE_SECONDS, JOIN_SECONDS, ConnectHandler
from chaincast.sessions.connection_store import Connection
from tests.unit.handler_fakes import IP, NOW, SETTINGS, CountingMetrics, RecordingJobs, websocket_event

ANN = User("ann", expires_at=1_700_000_900, premium=True)
BEARER = {"Authorization": "Bearer good"}
LIMITED = replace(SETTINGS, auth="optional", limits=Limits(connections_per_minute=5, connections_per_ip=7))


class Quotas:
    """Records admissions and releases by owner. `error` is raised by an admission."""

    def __init__(self) -> None:
        self.admitted: list[str] = []
        self.released: list[str] = []
        self.error: RequestError | None = None

    def admit(self, owner: str, connection_id: str, now_ms: int, *, per_minute: int, at_once: int) -> None:
        assert (connection_id, now_ms, per_minute, at_once) == ("c1", NOW, 5, 7)
        if self.error is not None:
            raise self.error
        self.admitted.append(owner)

    def release(self, owner: str, connection_ids: Sequence[str]) -> None:
        assert connection_ids == ["c1"]
        self.released.append(owner)


class Identities:
    """Records admissions and expiries by user. `error` is raised by an admission."""

    def __init__(self) -> None:
        self.admitted: list[str] = []
        self.expiries: list[str] = []
        self.error: RequestError | None = None

    def admit(self, user: User, connection_id: str, now_ms: int) -> None:
        if self.error is not None:
            raise self.error
        self.admitted.append(user.id)

    def schedule_expiry(self, user: User, connection_id: str, now_ms: int) -> None:
        self.expiries.append(user.id)


class Gate:
    """A connect handler with fakes. The token `good` and the ticket `cct_good` are Ann's."""

    def __init__(self, settings: Settings = SETTINGS) -> None:
        self.records: list[Connection] = []
        self.opened_ids: list[str] = []
        self.quotas, self.identities = Quotas(), Identities()
        self.jobs, self.metrics = RecordingJobs(), CountingMetrics()
        self.token_error = RequestError(Code.AUTH_FAILED, "Invalid token")
        self.handler = ConnectHandler(
            settings, self, self, self, self, self.quotas, self.identities, self.jobs, self.metrics
        )

    def authenticate(self, token: str) -> User:
        if token != "good":
            raise self.token_error
        return ANN

    def redeem(self, ticket: str, now_ms: int) -> User:
        if ticket != "cct_good":
            raise RequestError(Code.AUTH_FAILED, "Invalid ticket")
        return ANN

    def put(self, connection: Connection) -> None:
        self.records.append(connection)

    def opened(self, connection: Connection) -> None:
        self.opened_ids.append(connection.connection_id)

    def connect(self, **event: Any) -> WebSocketResponse:
        return self.handler.handle(websocket_event("CONNECT", **event))

    def refused(self) -> bool:
        """Return True if nothing was stored or enqueued."""
        return not (self.records or self.opened_ids or self.jobs.jobs)


def test_a_connection_is_recorded_counted_and_greeted() -> None:
    gate = Gate()
    assert gate.connect(headers={"Origin": "https://app.example"}) == {"statusCode": 200}
    expected = Connection("c1", "chaincast.v1", IP, "https://app.example", NOW, undecided=True)
    assert gate.records == [expected]
    assert gate.opened_ids == ["c1"]
    assert gate.jobs.jobs == [(Greet("c1", "chaincast.v1"), 0)]
    assert gate.metrics.counts == {"ConnectionsOpened chaincast.v1": 1}
    assert (gate.quotas.admitted, gate.identities.admitted) == ([], [])


def test_a_message_that_is_routed_here_changes_nothing() -> None:
    gate = Gate()
    assert gate.handler.handle(websocket_event("MESSAGE", {"type": "$connect"})) == {"statusCode": 200}
    assert gate.refused()
    assert gate.metrics.counts == {"ReservedRouteMessages": 1}


def test_a_requested_subprotocol_is_confirmed() -> None:
    response = Gate().connect(headers={"Sec-WebSocket-Protocol": "chaincast.v1"})
    assert response == {"statusCode": 200, "headers": {"Sec-WebSocket-Protocol": "chaincast.v1"}}


def test_a_socket_io_client_must_join_in_time() -> None:
    gate = Gate()
    gate.connect(query={"EIO": "4", "transport": "websocket"})
    assert (Deadline("c1", Requirement.JOINED), JOIN_SECONDS) in gate.jobs.jobs


def test_an_anonymous_client_must_authenticate_in_time_if_the_deployment_requires_it() -> None:
    gate = Gate(replace(SETTINGS, auth="required"))
    gate.connect()
    assert gate.jobs.jobs[1:] == [(Deadline("c1", Requirement.AUTHENTICATED), AUTHENTICATE_SECONDS)]


@pytest.mark.parametrize("auth", ["optional", "required"])
@pytest.mark.parametrize("shown", [{"headers": BEARER}, {"query": {"ticket": "cct_good"}}])
def test_a_token_or_a_ticket_sets_the_user(auth: str, shown: dict[str, Any]) -> None:
    gate = Gate(replace(SETTINGS, auth=auth))
    assert gate.connect(**shown)["statusCode"] == 200
    (record,) = gate.records
    assert (record.user, record.user_until, record.premium) == ("ann", ANN.expires_at, True)
    assert (gate.identities.admitted, gate.identities.expiries) == (["ann"], ["ann"])
    assert gate.jobs.jobs == [(Greet("c1", "chaincast.v1"), 0)], "no deadline to authenticate"
    assert gate.metrics.counts["Authentications ACCEPTED"] == 1


@pytest.mark.parametrize(
    ("event", "status", "code"),
    [
        ({"query": {"dialect": "nope"}}, 400, "UNKNOWN_DIALECT"),
        ({"headers": {"Authorization": "Bearer bad"}}, 401, "AUTH_FAILED"),
        ({"query": {"ticket": "cct_bad"}}, 401, "AUTH_FAILED"),
        ({"headers": BEARER, "query": {"ticket": "cct_good"}}, 401, "AUTH_FAILED"),
    ],
)
def test_a_refused_handshake_stores_nothing_and_releases_its_address(
    event: dict[str, Any], status: int, code: str
) -> None:
    gate = Gate(LIMITED)
    response = gate.connect(**event)
    assert (response["statusCode"], code in response["body"]) == (status, True)
    assert gate.refused()
    assert gate.quotas.released == gate.quotas.admitted
    assert gate.metrics.counts[f"ConnectionsRefused {code}"] == 1


def test_origins_and_addresses_that_are_not_allowed_are_refused_before_anything_is_counted() -> None:
    gate = Gate(replace(LIMITED, origins=("https://app.example",)))
    assert gate.connect(headers={"Origin": "https://evil.example"})["statusCode"] == 403
    denied = Gate(replace(LIMITED, deny_ips=(f"{IP}/32",)))
    assert denied.connect()["statusCode"] == 403
    assert gate.quotas.admitted == denied.quotas.admitted == []


def test_a_client_beyond_the_limits_of_its_address_learns_when_to_retry() -> None:
    gate = Gate(LIMITED)
    gate.quotas.error = RequestError(Code.RATE_LIMITED, "temporarily banned", details={"retry_after": 40})
    response = gate.connect()
    assert (response["statusCode"], response["headers"]) == (429, {"Retry-After": "40"})
    assert gate.refused()
    assert gate.quotas.released == [], "it was not admitted"
    assert gate.metrics.counts["RateLimitHits RATE_LIMITED"] == 1


def test_a_user_with_too_many_connections_is_refused_and_the_address_released() -> None:
    gate = Gate(LIMITED)
    gate.identities.error = RequestError(Code.MAX_CONNECTIONS, "5 connections are open; at most 5")
    response = gate.connect(headers=BEARER)
    assert (response["statusCode"], "headers" in response) == (429, False)
    assert gate.quotas.admitted == gate.quotas.released == [f"ip/{IP}"]
    assert gate.refused()


def test_an_exempt_address_is_not_counted() -> None:
    gate = Gate(replace(LIMITED, limits=replace(LIMITED.limits, exempt_ips=("203.0.113.0/24",))))
    assert gate.connect()["statusCode"] == 200
    assert gate.quotas.admitted == []


@pytest.mark.parametrize(("auth", "status"), [("optional", 200), ("required", 503)])
def test_an_unavailable_auth_service_refuses_clients_only_if_authentication_is_required(auth: str, status: int) -> None:
    gate = Gate(replace(SETTINGS, auth=auth))
    gate.token_error = RequestError(Code.AUTH_UNAVAILABLE, "the auth service does not answer")
    assert gate.connect(headers={"Authorization": "Bearer any"})["statusCode"] == status
    assert [record.user for record in gate.records] == ([""] if status == 200 else [])


def test_a_ticket_is_ignored_if_authentication_is_off() -> None:
    gate = Gate()
    assert gate.connect(query={"ticket": "cct_bad"})["statusCode"] == 200


def test_a_store_that_fails_is_raised_so_that_api_gateway_refuses_the_handshake(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gate = Gate()

    def fail(connection: Connection) -> None:
        raise RuntimeError("throttled")

    monkeypatch.setattr(gate, "put", fail)
    with pytest.raises(RuntimeError, match="throttled"):
        gate.connect()
    assert gate.jobs.jobs == []
