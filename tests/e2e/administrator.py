"""Access to the stack's AWS emulator as its administrator."""

from __future__ import annotations

from local.stack.administrator import session
from local.stack.local_stack import LocalStack

__all__ = ["endpoint", "session"]


def endpoint(stack: LocalStack) -> str:
    """Return the endpoint URL of all AWS services of the stack."""
    return stack.emulator.endpoint
