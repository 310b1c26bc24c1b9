from __future__ import annotations

from typing import Any

import pytest

from chaincast.auth.circuit_breaker import MAX_FAILURES, OPEN_SECONDS, CircuitBreaker
from chaincast.auth.remote import RemoteAuthenticator, ServiceResponse
from chaincast.errors import Code, RequestError
from chaincast.policy.premium_topics import Premium
from chaincast.protocol.commands import User


class Service:
    """A fake auth service with scripted responses. It records the tokens of requests."""

    def __init__(self, *answers: ServiceResponse | OSError) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    def __call__(self, token: str) -> ServiceResponse:
        self.asked.append(token)
        answer = self.answers.pop(0)
        if isinstance(answer, OSError):
            raise answer
        return answer


def code(asked: RemoteAuthenticator) -> Code | None:
    try:
        asked.authenticate("token")
    except RequestError as error:
        return error.code
    return None


@pytest.mark.parametrize(
    "document",
    [
        {"user": {"id": "ann", "email": "a@example.com", "exp": 1_900_000_000}},
        {"success": True, "data": {"user": {"id": "ann", "email": "a@example.com"}, "x": 1}, "exp": 1_900_000_000},
        {"data": {"userId": "ann", "email": "a@example.com"}, "exp": 1_900_000_000},
        {"sub": "ann", "email": "a@example.com", "exp": 1_900_000_000.0},
    ],
)
def test_the_formats_of_responses(document: dict[str, Any]) -> None:
    assert RemoteAuthenticator(Service(ServiceResponse(200, document)), Premium()).authenticate("token") == User(
        "ann", "a@example.com", expires_at=1_900_000_000
    )


def test_a_premium_claim_may_be_in_the_response() -> None:
    answer = ServiceResponse(200, {"user": {"id": 7, "plan": "pro"}})
    assert RemoteAuthenticator(Service(answer), Premium(("alerts",), "plan", ("pro",))).authenticate("t") == User(
        "7", premium=True
    )


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_a_token_that_the_service_refuses_is_no_failure_of_the_service(status: int) -> None:
    asked = RemoteAuthenticator(Service(*[ServiceResponse(status, {})] * 10), Premium())
    assert [code(asked) for _ in range(10)] == [Code.AUTH_FAILED] * 10


@pytest.mark.parametrize(
    "answer",
    [
        ServiceResponse(500, None),
        ServiceResponse(302, None),
        ServiceResponse(429, None),
        ServiceResponse(200, None),
        ServiceResponse(200, []),
        ServiceResponse(200, {}),
        ServiceResponse(200, {"user": {"id": True}}),
        ServiceResponse(200, {"valid": False, "user": {"id": "ann"}}),
        ServiceResponse(200, {"success": False, "data": {"id": "ann"}}),
        OSError("time-out"),
    ],
)
def test_failures_open_the_circuit(answer: ServiceResponse | OSError) -> None:
    now = 100.0
    service = Service(
        *[answer] * (MAX_FAILURES + 1), ServiceResponse(200, {"id": "ann"}), ServiceResponse(200, {"id": "ann"})
    )
    asked = RemoteAuthenticator(service, Premium(), CircuitBreaker(lambda: now))
    assert {code(asked) for _ in range(MAX_FAILURES + 50)} == {Code.AUTH_UNAVAILABLE}
    assert len(service.asked) == MAX_FAILURES, "further tokens cause no request"
    now += OPEN_SECONDS
    assert [code(asked) for _ in range(5)] == [Code.AUTH_UNAVAILABLE] * 5
    assert len(service.asked) == MAX_FAILURES + 1, "one trial request"
    now += OPEN_SECONDS
    assert [code(asked) for _ in range(2)] == [None, None], "the circuit is closed again"


def test_a_user_id_that_cannot_be_part_of_a_topic_is_refused() -> None:
    asked = RemoteAuthenticator(Service(ServiceResponse(200, {"id": "a:b"})), Premium())
    assert code(asked) is Code.AUTH_FAILED


def test_an_oversize_token_is_not_passed_on() -> None:
    service = Service()
    with pytest.raises(RequestError, match="9000 characters; at most 8192"):
        RemoteAuthenticator(service, Premium()).authenticate("x" * 9000)
    assert service.asked == []
