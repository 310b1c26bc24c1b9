from __future__ import annotations

from typing import Any

import pytest

from chaincast.auth.circuit_breaker import FAILURES, PAUSE_SECONDS, Breaker
from chaincast.auth.remote import Answer, Asked
from chaincast.errors import ClientError, Code
from chaincast.policy.premium_topics import Premium
from chaincast.protocol.commands import User


class Service:
    """Answers as it is told to, and counts who asks."""

    def __init__(self, *answers: Answer | OSError) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    def __call__(self, token: str) -> Answer:
        self.asked.append(token)
        answer = self.answers.pop(0)
        if isinstance(answer, OSError):
            raise answer
        return answer


def code(asked: Asked) -> Code | None:
    try:
        asked.user_of("token")
    except ClientError as error:
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
def test_the_shapes_that_services_answer_in(document: dict[str, Any]) -> None:
    assert Asked(Service(Answer(200, document)), Premium()).user_of("token") == User(
        "ann", "a@example.com", until=1_900_000_000
    )


def test_a_users_plan_may_be_in_the_answer() -> None:
    answer = Answer(200, {"user": {"id": 7, "plan": "pro"}})
    assert Asked(Service(answer), Premium(("alerts",), "plan", ("pro",))).user_of("t") == User("7", premium=True)


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_a_token_that_the_service_refuses_is_no_failure_of_the_service(status: int) -> None:
    asked = Asked(Service(*[Answer(status, {})] * 10), Premium())
    assert [code(asked) for _ in range(10)] == [Code.AUTH_FAILED] * 10


@pytest.mark.parametrize(
    "answer",
    [
        Answer(500, None),
        Answer(302, None),
        Answer(429, None),
        Answer(200, None),
        Answer(200, []),
        Answer(200, {}),
        Answer(200, {"user": {"id": True}}),
        Answer(200, {"valid": False, "user": {"id": "ann"}}),
        Answer(200, {"success": False, "data": {"id": "ann"}}),
        OSError("time-out"),
    ],
)
def test_what_nobody_can_make_anything_of_opens_the_circuit(answer: Answer | OSError) -> None:
    now = 100.0
    service = Service(*[answer] * (FAILURES + 1), Answer(200, {"id": "ann"}), Answer(200, {"id": "ann"}))
    asked = Asked(service, Premium(), Breaker(lambda: now))
    assert {code(asked) for _ in range(FAILURES + 50)} == {Code.AUTH_UNAVAILABLE}
    assert len(service.asked) == FAILURES, "then nobody waits for it"
    now += PAUSE_SECONDS
    assert [code(asked) for _ in range(5)] == [Code.AUTH_UNAVAILABLE] * 5
    assert len(service.asked) == FAILURES + 1, "one tries"
    now += PAUSE_SECONDS
    assert [code(asked) for _ in range(2)] == [None, None], "and when it answers again, everybody is served"


def test_a_user_that_no_topic_can_name_is_refused() -> None:
    asked = Asked(Service(Answer(200, {"id": "a:b"})), Premium())
    assert code(asked) is Code.AUTH_FAILED


def test_an_oversize_token_is_not_passed_on() -> None:
    service = Service()
    with pytest.raises(ClientError, match="9000 characters; at most 8192"):
        Asked(service, Premium()).user_of("x" * 9000)
    assert service.asked == []
