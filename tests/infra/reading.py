"""Finding things in a template."""

from __future__ import annotations

from tests.infra.conftest import Resource, Template


def of_type(template: Template, type_: str) -> dict[str, Resource]:
    """A template's resources of one type: properties by logical id."""
    return {k: r.get("Properties", {}) for k, r in template["Resources"].items() if r["Type"] == type_}


def functions(template: Template) -> dict[str, Resource]:
    """The stack's functions by their module's name."""
    found = of_type(template, "AWS::Lambda::Function").values()
    return {f["Handler"].split(".")[1]: f for f in found}


def statements(template: Template, role_part: str) -> list[Resource]:
    """All policy statements of the roles whose id contains a text."""
    found: list[Resource] = []
    for policy in of_type(template, "AWS::IAM::Policy").values():
        if any(role_part in role["Ref"] for role in policy["Roles"]):
            found += policy["PolicyDocument"]["Statement"]
    return found


def actions(template: Template, role_part: str) -> set[str]:
    found: set[str] = set()
    for statement in statements(template, role_part):
        listed = statement["Action"]
        found |= set(listed if isinstance(listed, list) else [listed])
    return found
