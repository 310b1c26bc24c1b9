"""Tickets: browsers, which cannot send headers, connect with them instead of a token in the URL.

    State: key `ticket/{SHA-256}`, sort `ticket`: `user`, `email`, `user_until` (s), `premium`, `ends` (ms)

Only the hash of a ticket is stored, so reading the table reveals no ticket. The first use deletes the item.
"""

from __future__ import annotations

from hashlib import sha256
from secrets import token_urlsafe
from typing import TYPE_CHECKING

from chaincast.errors import Code, RequestError
from chaincast.protocol.commands import User

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

PREFIX = "cct_"
"""Prefix of every ticket, by which logs can be searched for leaked ones."""

TICKET_SECONDS = 30
"""Seconds for which a ticket is valid."""

_RANDOM_BYTES = 32
_MAX_CHARS = 64


class TicketStore:
    """Issues and redeems the tickets of a deployment, in its State table."""

    def __init__(self, client: DynamoDBClient, state_table: str) -> None:
        self._client = client
        self._table = state_table

    def issue(self, user: User, now_ms: int) -> str:
        """Return a ticket that connects a user once, within `TICKET_SECONDS`."""
        ticket = PREFIX + token_urlsafe(_RANDOM_BYTES)
        ends = now_ms + TICKET_SECONDS * 1000
        self._client.put_item(
            TableName=self._table,
            Item={
                **_key(ticket),
                "user": {"S": user.id},
                "email": {"S": user.email},
                "user_until": {"N": str(user.expires_at)},
                "premium": {"BOOL": user.premium},
                "ends": {"N": str(ends)},
                "expires_at": {"N": str(ends // 1000 + 60)},
            },
        )
        return ticket

    def redeem(self, ticket: str, now_ms: int) -> User:
        """Use up a ticket and return its user. Raises `RequestError` with AUTH_FAILED."""
        if not ticket.startswith(PREFIX) or len(ticket) > _MAX_CHARS:
            raise _invalid("it was not issued by this server")
        deleted = self._client.delete_item(TableName=self._table, Key=_key(ticket), ReturnValues="ALL_OLD")
        item = deleted.get("Attributes")
        if not item:
            raise _invalid("it is not known, or was used before")
        if int(item["ends"]["N"]) < now_ms:
            raise _invalid(f"it was valid for {TICKET_SECONDS} seconds")
        return User(
            item["user"]["S"], item["email"]["S"], int(item["user_until"]["N"]), premium=item["premium"]["BOOL"]
        )


def _key(ticket: str) -> dict[str, AttributeValueTypeDef]:
    return {"key": {"S": f"ticket/{sha256(ticket.encode()).hexdigest()}"}, "sort": {"S": "ticket"}}


def _invalid(reason: str) -> RequestError:
    return RequestError(Code.AUTH_FAILED, f"Invalid ticket: {reason}; request a new one (POST /ticket)")
