"""The stack's own AWS, as its administrator sees it."""

from __future__ import annotations

from local.stack.administrator import session
from local.stack.local_stack import LocalStack

__all__ = ["endpoint", "session"]


def endpoint(stack: LocalStack) -> str:
    """Where all its services are."""
    return stack.emulator.endpoint
