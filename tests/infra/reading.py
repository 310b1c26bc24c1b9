"""Functions that find resources in a template."""

from __future__ import annotations

from tests.infra.conftest import Resource, Template


def of_type(template: Template, type_: str) -> dict[str, Resource]:
    """Return the properties of a template's resources of one type, by logical id."""
    return {k: r.get("Properties", {}) for k, r in template["Resources"].items() if r["Type"] == type_}


def functions(template: Template) -> dict[str, Resource]:
    """Return the properties of the stack's Lambda functions, by the name of their module."""
    resources = of_type(template, "AWS::Lambda::Function").values()
    return {f["Handler"].split(".")[1]: f for f in resources}


def statements(template: Template, role_part: str) -> list[Resource]:
    """Return all policy statements of the roles whose logical id contains `role_part`."""
    collected: list[Resource] = []
    for policy in of_type(template, "AWS::IAM::Policy").values():
        if any(role_part in role["Ref"] for role in policy["Roles"]):
            collected += policy["PolicyDocument"]["Statement"]
    return collected


def actions(template: Template, role_part: str) -> set[str]:
    """Return all actions that the roles whose logical id contains `role_part` may take."""
    allowed: set[str] = set()
    for statement in statements(template, role_part):
        listed = statement["Action"]
        allowed |= set(listed if isinstance(listed, list) else [listed])
    return allowed
