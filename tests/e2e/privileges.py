"""The deployed roles: what each may do, and a role without one of its rights."""

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
class Right:
    """One action on one resource."""

    place: int
    action: str
    resource: str

    def __str__(self) -> str:
        return f"{self.action} on {self.resource.rpartition(':')[2]}"

    def is_missed(self, denied: list[str]) -> bool:
        """Whether one of these denials is of this."""
        stem = self.resource.rstrip("*")
        return any(f" {self.action} {stem}" in line for line in denied)


class Role:
    """A role of the stack with its one policy, as IAM has it now."""

    def __init__(self, stack: LocalStack, part: str) -> None:
        self._iam: Any = session().client("iam", endpoint_url=endpoint(stack))
        self._log = stack.emulator.log
        self._begun = 0
        names = [role["RoleName"] for role in self._iam.list_roles(MaxItems=1000)["Roles"]]
        (self.name,) = [name for name in names if part in name]
        (self._policy,) = self._iam.list_role_policies(RoleName=self.name)["PolicyNames"]
        found = self._iam.get_role_policy(RoleName=self.name, PolicyName=self._policy)["PolicyDocument"]
        self._document = json.loads(unquote(found)) if isinstance(found, str) else found

    def rights(self) -> list[Right]:
        """Everything that it may do, one by one."""
        found = []
        for place, statement in enumerate(self._document["Statement"]):
            for action in _listed(statement["Action"]):
                found += [Right(place, action, resource) for resource in _listed(statement["Resource"])]
        return found

    @contextmanager
    def without(self, *rights: Right) -> Iterator[list[str]]:
        """While it lacks these; at the end, the list has what the role was denied meanwhile."""
        statements = [
            {**statement, "Action": action, "Resource": resource}
            for place, statement in enumerate(self._document["Statement"])
            for action in _listed(statement["Action"])
            for resource in _listed(statement["Resource"])
            if Right(place, action, resource) not in rights
        ]
        denied: list[str] = []
        self._begun = begun = self.log_size()
        self._put({**self._document, "Statement": statements})
        try:
            yield denied
        finally:
            self._put(self._document)
            denied += self.denials(begun)

    def denials(self, begun: int = 0) -> list[str]:
        """What the role was denied, from a place of the emulator's log on: actions with their resources."""
        with self._log.open("rb") as log:
            log.seek(begun)
            lines = log.read().decode(errors="replace").splitlines()
        return [line for line in lines if line.startswith("IAM denied") and f"/{self.name}/" in line]

    def misses(self, right: Right) -> bool:
        """Whether it was denied this since it was taken away."""
        return right.is_missed(self.denials(self._begun))

    def log_size(self) -> int:
        """Where the emulator's log ends."""
        return self._log.stat().st_size

    def _put(self, document: object) -> None:
        self._iam.put_role_policy(RoleName=self.name, PolicyName=self._policy, PolicyDocument=json.dumps(document))


def _listed(value: str | list[str]) -> list[str]:
    return value if isinstance(value, list) else [value]
