"""`[networks.NAME]`: a chain, how it is reached, and what is followed on it."""

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


def url_variable(network: str) -> str:
    """The environment variable that holds a network's RPC URLs, separated by spaces or commas."""
    return f"CHAINCAST_RPC_URL_{network.upper().replace('-', '_')}"


def _network_name(name: str) -> str:
    if not NETWORK_NAME.fullmatch(name) or name.startswith("app-"):
        raise ValueError(
            f"network name {name!r}: lower-case letters, digits and '-', beginning with a letter, at most 40, "
            "not beginning with 'app-'"
        )
    return name


def _several(value: object) -> object:
    """One instead of an array of one."""
    return (value,) if isinstance(value, str) else value


def _url(value: str) -> str:
    if not RPC_URL.fullmatch(value):
        raise ValueError("an RPC URL begins with ws://, wss://, http:// or https://")
    return value


def _address(value: str) -> str:
    if _EVM.fullmatch(value):
        return value.lower()
    if value == ANY_ADDRESS or _STACKS.fullmatch(value):
        return value
    raise ValueError("an address is 0x and 40 hex digits (on Stacks: principal.contract); '*' is any, for adapter abi")


NetworkName: TypeAlias = Annotated[str, AfterValidator(_network_name)]
Url: TypeAlias = Annotated[str, AfterValidator(_url)]
Address: TypeAlias = Annotated[str, AfterValidator(_address)]


class Contract(Section):
    """A contract to follow, and how to read its events."""

    adapter: Literal["launchpad", "uniswap_v2", "abi"] = Field(
        description="how events are read: `launchpad` (factory with bonding curves), `uniswap_v2` (factory and its "
        "pairs), `abi` (any contract, by its ABI; on Stacks by itself)"
    )
    address: Annotated[tuple[Address, ...], BeforeValidator(_several), Field(min_length=1)] = Field(
        description="the contract's address, or several as an array: 0x and 40 hex digits (of a proxy, the proxy's); "
        "on Stacks `principal.contract`; `*`, only with `abi`: any contract"
    )
    abi: str = Field(
        "", description="with `abi`: its JSON ABI, as a file beside this one (`abis/erc20.json`) or inline"
    )
    events: tuple[str, ...] = Field((), description="with `abi`: only these events, by name; all if there are none")

    @model_validator(mode="after")
    def _check(self, info: ValidationInfo) -> Contract:
        if self.adapter != "abi":
            if self.abi or self.events:
                raise ValueError(f"abi and events are for adapter 'abi', not {self.adapter!r}")
            if ANY_ADDRESS in self.address:
                raise ValueError(f"address '*' is for adapter 'abi', not {self.adapter!r}: name the factory")
            return self
        if self.events and not self.abi and not _STACKS.fullmatch(self.address[0]):
            raise ValueError("events are chosen from an abi: name one")
        if self.abi:
            # The text itself takes the file's place: whoever reads the configuration needs no other file.
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
        raise ValueError(f"abi {abi[:60]!r} is no JSON: {error}") from None
    entries = document.get("abi") if isinstance(document, dict) else document  # a compiler's artifact has it inside
    if not isinstance(entries, list):
        raise ValueError(f"abi {abi[:60]!r} is no JSON ABI: an array of entries, or an object that has one as 'abi'")
    found = [e for e in entries if isinstance(e, dict) and e.get("type") == "event" and isinstance(e.get("name"), str)]
    names = [e["name"] for e in found]
    if unknown := [name for name in events if name not in names]:
        raise ValueError(f"events {', '.join(unknown)}: not in the ABI, which has: {', '.join(names) or 'none'}")
    if not found:
        raise ValueError(f"abi {abi[:60]!r} has no events")
    return json.dumps([e for e in found if not events or e["name"] in events], separators=(",", ":"))


class Backfill(Section):
    """How blocks from before a network's first start are read."""

    deliver: bool = Field(False, description="whether their events go to clients; if not, only to history and state")
    parallel: Annotated[int, Field(ge=1, le=32)] = Field(4, description="ranges asked for at once")


class Network(Section):
    """One chain that is listened to."""

    kind: Literal["evm", "stacks"] = Field("evm", description="`evm` or `stacks`")
    chain_id: Annotated[int, Field(ge=1)] = Field(description="EIP-155 chain id; a node of another chain is refused")
    rpc_url: Annotated[tuple[Url, ...], BeforeValidator(_several)] = Field(
        (),
        description="JSON-RPC endpoint (ws, wss, http or https), or several as an array, the preferred first: when one "
        "fails, falls behind or goes silent, another takes its place",
    )
    rpc_secret: str = Field(
        "",
        description="instead of `rpc_url`, for URLs that hold a key: name of a secret in AWS Secrets Manager whose "
        "value is the URL, or several separated by spaces; `name#key`: the value of that key of a JSON secret",
    )
    enabled: bool = Field(True, description="whether the deployed stack listens to it")
    local: bool = Field(False, description="exists only in the local stack, never in a deployed one")
    start_block: Union[Literal["latest", "checkpoint"], Annotated[int, Field(ge=0)]] = Field(
        "latest",
        description="first block of a network that has no checkpoint yet: a number (the factory's own block, to know "
        "all its tokens), `latest` (only what comes from now on), or `checkpoint` (refuse to start without one)",
    )
    confirmations: Annotated[int, Field(ge=0, le=1000)] = Field(
        0, description="blocks to wait behind the head: what is told so late is never taken back"
    )
    finality_depth: Annotated[int, Field(ge=1, le=1000)] = Field(
        64, description="blocks that a reorganisation may take back; a deeper one stops the listener"
    )
    block_ms: Annotated[int, Field(ge=50, le=600_000)] = Field(
        2000, description="the chain's block time: what time-outs, polling and failover go by"
    )
    block_range: Annotated[int, Field(ge=1, le=10_000)] = Field(
        1000, description="most blocks asked for at once; fewer where the endpoint or the number of logs wants it"
    )
    poll_ms: Annotated[int, Field(ge=0, le=60_000)] = Field(
        0, description="how often an HTTP endpoint is asked for its head; 0: as the chain's pace suggests"
    )
    check_blooms: bool = Field(
        True,
        description="whether headers' `logsBloom` is true on this chain: it tells when a node's logs are incomplete",
    )
    wrapped_native: Annotated[str, AfterValidator(_address)] = Field(
        "", validate_default=False, description="the token that stands for the native coin (WETH, WBNB)"
    )
    stable_tokens: tuple[Address, ...] = Field((), description="tokens worth a dollar: prices are told in them")
    reference_pools: tuple[Address, ...] = Field(
        (),
        description="pairs of `wrapped_native` and a stable token, of a followed factory: they say what a native "
        "coin costs in dollars; of several, the one with the largest reserves",
    )
    alerts: Alerts = Alerts()
    backfill: Backfill = Backfill()
    contracts: tuple[Contract, ...] = Field((), description="what is followed on it")

    @model_validator(mode="after")
    def _check(self) -> Network:
        if not self.rpc_url and not self.rpc_secret:
            raise ValueError("neither rpc_url nor rpc_secret: how is the chain reached?")
        for contract in self.contracts:
            stacks = self.kind == "stacks"
            wrong = [a for a in contract.address if a != ANY_ADDRESS and a.startswith("0x") == stacks]
            if wrong:
                raise ValueError(f"{', '.join(wrong)}: no address of a network of kind {self.kind!r}")
            if stacks and contract.adapter != "abi":
                raise ValueError(f"adapter {contract.adapter!r} is for EVM networks; on Stacks: 'abi'")
            if not stacks and contract.adapter == "abi" and not contract.abi:
                raise ValueError("adapter 'abi' needs an abi: a file, or the JSON itself")
        return self
