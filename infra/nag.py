"""Acknowledging a rule of cdk-nag's AwsSolutions pack, in the place that deviates from it."""

from __future__ import annotations

from aws_cdk import Acknowledgment, Validations
from constructs import IConstruct


def acknowledge(construct: IConstruct, rule: str, reason: str) -> None:
    """Let `construct` and what is below it deviate from a rule, e.g. `IAM5[Resource::*]`, for a stated reason."""
    Validations.of(construct).acknowledge(Acknowledgment(id=f"AwsSolutions::AwsSolutions-{rule}", reason=reason))
