"""The deployed IAM roles: their permissions, and the decisions of IAM about their calls."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias
from urllib.parse import unquote

from local.stack.local_stack import LocalStack
from tests.e2e.administrator import endpoint, session

Statement: TypeAlias = dict[str, Any]  # of an IAM policy


@dataclass(frozen=True, slots=True)
class Permission:
    """One action on one resource."""

    statement: int
    """Index of the statement in the policy."""
    action: str
    resource: str

    def __str__(self) -> str:
        return f"{self.action} on {self.resource.rpartition(':')[2]}"

    def is_in(self, decisions: list[str]) -> bool:
        """Return True if one of IAM's decisions is about this permission."""
        stem = self.resource.rstrip("*")
        return any(f" {self.action} {stem}" in line for line in decisions)


class Role:
    """A role of the stack with its only policy, as it is in IAM."""

    def __init__(self, stack: LocalStack, part: str) -> None:
        self._iam: Any = session().client("iam", endpoint_url=endpoint(stack))
        self._log = stack.emulator.log
        names = [role["RoleName"] for role in self._iam.list_roles(MaxItems=1000)["Roles"]]
        (self.name,) = [name for name in names if part in name]
        (self._policy,) = self._iam.list_role_policies(RoleName=self.name)["PolicyNames"]
        document = self._iam.get_role_policy(RoleName=self.name, PolicyName=self._policy)["PolicyDocument"]
        self._document = json.loads(unquote(document)) if isinstance(document, str) else document

    def permissions(self) -> list[Permission]:
        """Return all permissions of the role, one for each action and resource."""
        return [
            Permission(number, action, resource)
            for number, statement in enumerate(self._document["Statement"])
            for action in _as_list(statement["Action"])
            for resource in _as_list(statement["Resource"])
        ]

    @contextmanager
    def without(self, permission: Permission) -> Iterator[None]:
        """Take a permission away for a while."""
        statements = [
            {**statement, "Action": action, "Resource": resource}
            for number, statement in enumerate(self._document["Statement"])
            for action in _as_list(statement["Action"])
            for resource in _as_list(statement["Resource"])
            if Permission(number, action, resource) != permission
        ]
        self._put({**self._document, "Statement": statements})
        try:
            yield
        finally:
            self._put(self._document)

    def decisions(self, decision: str, log_start: int = 0) -> list[str]:
        """Return the log lines about calls of the role that IAM "allowed" or "denied", from a byte of the log on."""
        with self._log.open("rb") as log:
            log.seek(log_start)
            lines = log.read().decode(errors="replace").splitlines()
        return [line for line in lines if line.startswith(f"IAM {decision}") and f"/{self.name}/" in line]

    def log_size(self) -> int:
        """Return the size of the emulator's log in bytes."""
        return self._log.stat().st_size

    def _put(self, document: object) -> None:
        self._iam.put_role_policy(RoleName=self.name, PolicyName=self._policy, PolicyDocument=json.dumps(document))


def _as_list(value: str | list[str]) -> list[str]:
    return value if isinstance(value, list) else [value]
