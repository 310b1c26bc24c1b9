"""`[networks.NAME]`: a network, its endpoints, and the contracts that are followed on it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Annotated, Literal, TypeAlias, Union

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, model_validator

from chaincast.config.market import Alerts
from chaincast.config.section import FOLDER, Section

NETWORK_NAME = re.compile(r"[a-z][a-z0-9-]{0,39}")
RPC_URL = re.compile(r"(https?|wss?)://[^\s,]+")
_EVM = re.compile(r"0x[0-9a-fA-F]{40}")
_STACKS = re.compile(r"S[0-9A-Z]{20,41}\.[a-zA-Z][a-zA-Z0-9-]{0,39}")
ANY_ADDRESS = "*"

FARGATE_MEMORY = {
    256: (512, 1024, 2048),
    512: tuple(range(1024, 4096 + 1, 1024)),
    1024: tuple(range(2048, 8192 + 1, 1024)),
    2048: tuple(range(4096, 16_384 + 1, 1024)),
    4096: tuple(range(8192, 30_720 + 1, 1024)),
}
"""Sizes of memory (MiB) for each size of CPU. Source: Amazon ECS Developer Guide, "Task CPU and memory"."""


def url_variable(network: str) -> str:
    """Return the name of the environment variable with a network's RPC URLs, separated by spaces or commas."""
    return f"CHAINCAST_RPC_URL_{network.upper().replace('-', '_')}"


def _network_name(name: str) -> str:
    if not NETWORK_NAME.fullmatch(name) or name.startswith("app-"):
        raise ValueError(
            f"network name {name!r}: write a letter and then at most 39 lower-case letters, digits and '-'; "
            "names that begin with 'app-' are reserved"
        )
    return name


def _as_tuple(value: object) -> object:
    # A single value may be written without an array.
    return (value,) if isinstance(value, str) else value


def _url(value: str) -> str:
    if not RPC_URL.fullmatch(value):
        raise ValueError("not an RPC URL: it begins with ws://, wss://, http:// or https://")
    return value


def _address(value: str) -> str:
    if _EVM.fullmatch(value):
        return value.lower()
    if value == ANY_ADDRESS or _STACKS.fullmatch(value):
        return value
    raise ValueError("not an address: write 0x and 40 hex digits (on Stacks: principal.contract); '*' with adapter abi")


NetworkName: TypeAlias = Annotated[str, AfterValidator(_network_name)]
Url: TypeAlias = Annotated[str, AfterValidator(_url)]
Address: TypeAlias = Annotated[str, AfterValidator(_address)]


class Contract(Section):
    """A contract to follow, and the adapter that reads its events."""

    adapter: Literal["launchpad", "uniswap_v2", "abi"] = Field(
        description="reader of the contract's events: `launchpad` (a factory with bonding curves), `uniswap_v2` (a "
        "factory and its pairs), `abi` (any contract with an ABI; on Stacks no ABI is needed)"
    )
    address: Annotated[tuple[Address, ...], BeforeValidator(_as_tuple), Field(min_length=1)] = Field(
        description="address of the contract, or an array of addresses: 0x and 40 hex digits (a proxy's own address); "
        "on Stacks `principal.contract`; `*` (only with adapter `abi`): any contract"
    )
    abi: str = Field(
        "",
        description="adapter `abi`: the contract's JSON ABI, inline or as a file relative to `chaincast.toml` "
        "(`abis/erc20.json`)",
    )
    events: tuple[str, ...] = Field((), description="adapter `abi`: names of the events to read; empty: all")

    @model_validator(mode="after")
    def _check(self, info: ValidationInfo) -> Contract:
        if self.adapter != "abi":
            if self.abi or self.events:
                raise ValueError(f"abi and events are for adapter 'abi' only, not for {self.adapter!r}: remove them")
            if ANY_ADDRESS in self.address:
                raise ValueError(f"address '*' is for adapter 'abi' only, not for {self.adapter!r}: name the factory")
            return self
        if self.events and not self.abi and not _STACKS.fullmatch(self.address[0]):
            raise ValueError("events names events of an ABI: set abi, too")
        if self.abi:
            # The text replaces the file's name, so that functions and the listener need no other file.
            object.__setattr__(self, "abi", _abi_text(self.abi, self.events, info))
        return self


def _abi_text(abi: str, events: tuple[str, ...], info: ValidationInfo) -> str:
    text = abi
    if not abi.lstrip().startswith(("[", "{")):
        path = Path((info.context or {}).get(FOLDER, ".")) / abi
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(f"abi {abi!r}: {path} cannot be read: {error}") from None
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"abi {abi[:60]!r}: not JSON: {error}") from None
    entries = document.get("abi") if isinstance(document, dict) else document  # compilers' artifacts contain the ABI
    if not isinstance(entries, list):
        raise ValueError(f"abi {abi[:60]!r}: not an ABI: an array of entries, or an object with such an array as 'abi'")
    found = [e for e in entries if isinstance(e, dict) and e.get("type") == "event" and isinstance(e.get("name"), str)]
    names = [e["name"] for e in found]
    if unknown := [name for name in events if name not in names]:
        raise ValueError(f"events {', '.join(unknown)}: not in the ABI, whose events are: {', '.join(names) or 'none'}")
    if not found:
        raise ValueError(f"abi {abi[:60]!r}: the ABI has no events")
    return json.dumps([e for e in found if not events or e["name"] in events], separators=(",", ":"))


class Backfill(Section):
    """How the listener reads blocks from before its first start on a network."""

    deliver: bool = Field(
        False, description="deliver events of the backfill to clients; if false, they only go to history and state"
    )
    parallel: Annotated[int, Field(ge=1, le=32)] = Field(4, description="block ranges that are requested in parallel")


class Network(Section):
    """One network that the listener follows."""

    kind: Literal["evm", "stacks"] = Field("evm", description="`evm` or `stacks`")
    chain_id: Annotated[int, Field(ge=1)] = Field(description="EIP-155 chain id; nodes of other chains are refused")
    rpc_url: Annotated[tuple[Url, ...], BeforeValidator(_as_tuple)] = Field(
        (),
        description="JSON-RPC endpoint (ws, wss, http or https), or an array of endpoints in order of preference: if "
        "one fails, falls behind or stops sending blocks, the next is used",
    )
    rpc_secret: str = Field(
        "",
        description="instead of `rpc_url`, for URLs that contain an API key: name of a secret in AWS Secrets Manager "
        "with one URL or several separated by spaces; `name#key` selects a key of a JSON secret",
    )
    enabled: bool = Field(True, description="follow this network in deployed stacks")
    local: bool = Field(False, description="follow this network in local stacks only")
    start_block: Union[Literal["latest", "checkpoint"], Annotated[int, Field(ge=0)]] = Field(
        "latest",
        description="first block if the network has no checkpoint yet: a number (the block of the factory's creation, "
        "to know all of its tokens), `latest` (the current head), or `checkpoint` (refuse to start without one)",
    )
    confirmations: Annotated[int, Field(ge=0, le=1000)] = Field(
        0, description="blocks that must follow a block before its events are delivered; 0 delivers at once"
    )
    finality_depth: Annotated[int, Field(ge=1, le=1000)] = Field(
        64, description="greatest depth of a reorganisation, in blocks; a deeper one stops the listener"
    )
    block_ms: Annotated[int, Field(ge=50, le=600_000)] = Field(
        2000, description="block time in milliseconds; time-outs, polling and failover are derived from it"
    )
    block_range: Annotated[int, Field(ge=1, le=10_000)] = Field(
        1000, description="most blocks of one log request; adapted downwards to the endpoint and the number of logs"
    )
    poll_ms: Annotated[int, Field(ge=0, le=60_000)] = Field(
        0, description="milliseconds between requests of an HTTP endpoint's head; 0: derived from the block time"
    )
    check_blooms: bool = Field(
        True,
        description="compare logs with the header's `logsBloom` to detect incomplete answers; false on chains "
        "whose headers have no true bloom filter",
    )
    wrapped_native: Annotated[str, AfterValidator(_address)] = Field(
        "", validate_default=False, description="the wrapped native coin's token (WETH, WBNB)"
    )
    stable_tokens: tuple[Address, ...] = Field((), description="tokens that are worth one US dollar")
    reference_pools: tuple[Address, ...] = Field(
        (),
        description="pairs of `wrapped_native` and a stable token, created by a followed factory, that give the native "
        "coin's price in dollars; the one with the largest reserves is used",
    )
    cpu: Literal[256, 512, 1024, 2048, 4096] = Field(
        256, description="CPU units of the listener's Fargate task; 1024 are one core (docs/scaling.md)"
    )
    memory: Annotated[int, Field(ge=512, le=30_720)] = Field(
        512, description="memory of the listener's Fargate task, in MiB; `cpu` determines which sizes are possible"
    )
    alerts: Alerts = Alerts()
    backfill: Backfill = Backfill()
    contracts: tuple[Contract, ...] = Field((), description="contracts to follow")

    @model_validator(mode="after")
    def _check_size(self) -> Network:
        possible = FARGATE_MEMORY[self.cpu]
        if self.memory not in possible:
            raise ValueError(
                f"memory {self.memory} is not possible with cpu {self.cpu}: Fargate has "
                f"{', '.join(map(str, possible))} MiB"
            )
        return self

    @model_validator(mode="after")
    def _check(self) -> Network:
        if not self.rpc_url and not self.rpc_secret:
            raise ValueError("rpc_url and rpc_secret are both missing: set one of them")
        for contract in self.contracts:
            stacks = self.kind == "stacks"
            wrong = [a for a in contract.address if a != ANY_ADDRESS and a.startswith("0x") == stacks]
            if wrong:
                raise ValueError(f"{', '.join(wrong)}: not an address of a network of kind {self.kind!r}")
            if stacks and contract.adapter != "abi":
                raise ValueError(f"adapter {contract.adapter!r} is for EVM networks; on Stacks use 'abi'")
            if not stacks and contract.adapter == "abi" and not contract.abi:
                raise ValueError("adapter 'abi' requires abi: the name of a file, or the JSON itself")
        return self
