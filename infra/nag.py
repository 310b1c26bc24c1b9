"""Acknowledgement of cdk-nag's AwsSolutions rules, in the construct that deviates from a rule."""

from __future__ import annotations

from aws_cdk import Acknowledgment, Validations
from constructs import IConstruct


def acknowledge(construct: IConstruct, rule: str, reason: str) -> None:
    """Allow `construct` and its children to deviate from a rule, e.g. `IAM5[Resource::*]`, for a stated reason."""
    Validations.of(construct).acknowledge(Acknowledgment(id=f"AwsSolutions::AwsSolutions-{rule}", reason=reason))
