"""Tickets: what a browser that cannot send headers connects with, instead of a token in its URL.

    State: key `ticket/{SHA-256}`, sort `ticket`: `user`, `email`, `user_until`, `premium`, `ends` (ms)

The ticket itself is kept nowhere: who reads the table learns none. It is deleted by whoever uses it first.
"""

from __future__ import annotations

from hashlib import sha256
from secrets import token_urlsafe
from typing import TYPE_CHECKING

from chaincast.errors import ClientError, Code
from chaincast.protocol.commands import User

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

PREFIX = "cct_"
"""What a ticket begins with, so that a log can be looked through for them."""

TICKET_SECONDS = 30
_BYTES = 32
_MAX_LENGTH = 64


class TicketStore:
    """Those of one deployment, in its State table."""

    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._client = client
        self._table = table

    def issue(self, user: User, now_ms: int) -> str:
        """A ticket that connects this user, once, within `TICKET_SECONDS`."""
        ticket = PREFIX + token_urlsafe(_BYTES)
        ends = now_ms + TICKET_SECONDS * 1000
        self._client.put_item(
            TableName=self._table,
            Item={
                **_key(ticket),
                "user": {"S": user.id},
                "email": {"S": user.email},
                "user_until": {"N": str(user.until)},
                "premium": {"BOOL": user.premium},
                "ends": {"N": str(ends)},
                "expires_at": {"N": str(ends // 1000 + 60)},
            },
        )
        return ticket

    def redeem(self, ticket: str, now_ms: int) -> User:
        """Whose ticket it is; it is used up. Raises `ClientError` with AUTH_FAILED."""
        if not ticket.startswith(PREFIX) or len(ticket) > _MAX_LENGTH:
            raise _refused("it is none of this server's")
        found = self._client.delete_item(TableName=self._table, Key=_key(ticket), ReturnValues="ALL_OLD")
        item = found.get("Attributes")
        if not item:
            raise _refused("it is not known, or was used before")
        if int(item["ends"]["N"]) < now_ms:
            raise _refused(f"it was good for {TICKET_SECONDS} seconds")
        return User(
            item["user"]["S"], item["email"]["S"], int(item["user_until"]["N"]), premium=item["premium"]["BOOL"]
        )


def _key(ticket: str) -> dict[str, AttributeValueTypeDef]:
    return {"key": {"S": f"ticket/{sha256(ticket.encode()).hexdigest()}"}, "sort": {"S": "ticket"}}


def _refused(why: str) -> ClientError:
    return ClientError(Code.AUTH_FAILED, f"Invalid ticket: {why}: ask for another one (POST /ticket)")
