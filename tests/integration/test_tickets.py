from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from chaincast.auth.tickets import TICKET_SECONDS, TicketStore
from chaincast.aws import environment
from chaincast.errors import Code, RequestError
from chaincast.protocol.commands import User
from tests.integration.helpers import items

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

NOW = 1_700_000_000_000
ANN = User("ann", "ann@example.com", expires_at=1_700_000_900, premium=True)


@pytest.fixture
def tickets(database: DynamoDBClient) -> TicketStore:
    return TicketStore(database, environment.STATE.lower())


def refused(tickets: TicketStore, ticket: str, now: int = NOW) -> str:
    with pytest.raises(RequestError) as caught:
        tickets.redeem(ticket, now)
    assert caught.value.code is Code.AUTH_FAILED
    assert len(ticket) < 5 or ticket not in caught.value.message
    return caught.value.message


def test_a_ticket_is_valid_once(tickets: TicketStore) -> None:
    ticket = tickets.issue(ANN, NOW)
    assert tickets.redeem(ticket, NOW + TICKET_SECONDS * 1000) == ANN
    assert "used before" in refused(tickets, ticket)


def test_of_many_concurrent_uses_one_succeeds(tickets: TicketStore) -> None:
    ticket = tickets.issue(ANN, NOW)

    def redeem(_: int) -> bool:
        try:
            return tickets.redeem(ticket, NOW) == ANN
        except RequestError:
            return False

    with ThreadPoolExecutor(16) as threads:
        assert sum(threads.map(redeem, range(50))) == 1


def test_a_ticket_expires(tickets: TicketStore) -> None:
    ticket = tickets.issue(ANN, NOW)
    assert "30 seconds" in refused(tickets, ticket, NOW + TICKET_SECONDS * 1000 + 1)
    assert "used before" in refused(tickets, ticket), "the first use deletes it, even if it has expired"


@pytest.mark.parametrize("ticket", ["", "x", "cct_", "cct_unknown", "cct_" + "x" * 100, "../cct_", "cct_ü"])
def test_a_string_that_is_no_ticket_is_refused(tickets: TicketStore, ticket: str) -> None:
    refused(tickets, ticket)


def test_the_table_reveals_no_ticket(tickets: TicketStore) -> None:
    ticket = tickets.issue(ANN, NOW)
    assert ticket.removeprefix("cct_") not in repr(items(environment.STATE))
    assert len({tickets.issue(ANN, NOW) for _ in range(50)}) == 50
