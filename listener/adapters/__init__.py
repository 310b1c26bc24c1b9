"""Adapters decode logs of contracts into events. A new adapter is a module here and a case in `make`."""

from __future__ import annotations

from chaincast.config.network import Contract, Network
from listener.adapters.base import Adapter
from listener.adapters.clarity_prints import ClarityPrints
from listener.adapters.contract_abi import ContractAbi
from listener.adapters.launchpad import Launchpad
from listener.adapters.uniswap_v2 import UniswapV2


def make(contract: Contract, network: Network) -> Adapter:
    """Return the adapter of a configured contract. Raise `BadType` if its ABI cannot be used."""
    match contract.adapter:
        case "launchpad":
            return Launchpad(contract.address)
        case "uniswap_v2":
            return UniswapV2(contract.address, network.wrapped_native, network.stable_tokens)
        case "abi" if network.kind == "stacks":
            return ClarityPrints(contract.address, contract.events)
        case "abi":
            return ContractAbi(contract.address, contract.abi)
