"""Adapters turn a contract's log into an event. Adding one is one module here and one line in `make`."""

from __future__ import annotations

from chaincast.config import Contract
from listener.adapters.base import Adapter
from listener.adapters.launchpad import Launchpad


def make(contract: Contract) -> Adapter:
    """The adapter that the configuration names, for that contract."""
    match contract.adapter:
        case "launchpad":
            return Launchpad(contract.address)
