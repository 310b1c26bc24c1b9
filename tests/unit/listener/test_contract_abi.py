"""Any contract by its JSON ABI."""

from __future__ import annotations

import json
from typing import Any

import pytest
from eth_abi.abi import encode
from eth_utils.crypto import keccak

from chaincast.config.network import Contract, Network
from listener import adapters
from listener.adapters.base import Adapter, Decoded
from listener.adapters.codec import Undecodable
from listener.adapters.contract_abi import MAX_DATA, ContractAbi
from listener.sources.base import LogFilter
from tests.unit.listener.logs import TOKEN, TRADER, indexed, make_log

TRANSFER = keccak(text="Transfer(address,address,uint256)")
NETWORK = Network(chain_id=1, rpc_url=("ws://node",))


def event(name: str, *inputs: dict[str, Any], anonymous: bool = False) -> dict[str, Any]:
    return {"type": "event", "name": name, "inputs": list(inputs), "anonymous": anonymous}


def made(*entries: dict[str, Any], address: str = TOKEN, **fields: Any) -> Adapter:
    return adapters.make(Contract(adapter="abi", address=(address,), abi=json.dumps(entries), **fields), NETWORK)


def erc(file: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((adapters_root() / file).read_text())
    return found


def adapters_root() -> Any:
    from pathlib import Path

    return Path(__file__).parents[3] / "abis"


def args(decoded: Decoded | None) -> Any:
    assert decoded is not None
    assert decoded.kind == "contract.event"
    return decoded.data["args"]


def test_an_event_has_its_name_signature_and_arguments() -> None:
    log = make_log(TOKEN, [TRANSFER, indexed("address", TRADER), indexed("address", TOKEN)], encode(["uint256"], [5]))
    assert made(*erc("erc20.json")).decode(log) == Decoded(
        "contract.event",
        {
            "event": "Transfer",
            "signature": "Transfer(address,address,uint256)",
            "args": {"from": TRADER, "to": TOKEN, "value": "5"},
        },
    )


def test_events_of_one_signature_are_told_apart_by_what_is_indexed() -> None:
    adapter = made(*erc("erc20.json"), *erc("erc721.json"), address="*")
    topics = [TRANSFER, indexed("address", TRADER), indexed("address", TOKEN)]
    assert args(adapter.decode(make_log(TOKEN, topics, encode(["uint256"], [5]))))["value"] == "5"
    assert args(adapter.decode(make_log(TOKEN, [*topics, indexed("uint256", 9)], b"")))["tokenId"] == "9"


def test_only_its_addresses_and_only_the_chosen_events() -> None:
    adapter = made(*erc("erc20.json"), events=["Approval"])
    topics = [TRANSFER, indexed("address", TRADER), indexed("address", TOKEN)]
    assert adapter.decode(make_log(TOKEN, topics, encode(["uint256"], [5]))) is None
    assert adapter.decode(make_log(TRADER, topics, b"")) is None
    assert adapter.wanted == LogFilter((TOKEN,), (keccak(text="Approval(address,address,uint256)"),))


def test_tuples_arrays_and_nested_names() -> None:
    adapter = made(
        event(
            "Filled",
            {"name": "order", "type": "tuple", "components": [
                {"name": "legs", "type": "tuple[]", "components": [
                    {"name": "token", "type": "address"}, {"name": "amount", "type": "uint128"}]},
                {"name": "note", "type": "string"}]},
            {"name": "flags", "type": "bool[2]"},
        )
    )  # fmt: skip
    types = ["((address,uint128)[],string)", "bool[2]"]
    topic0 = keccak(text=f"Filled({','.join(types)})")
    data = encode(types, [([(TRADER, 7), (TOKEN, 8)], "hi"), [True, False]])
    assert args(adapter.decode(make_log(TOKEN, [topic0], data))) == {
        "order": {"legs": [{"token": TRADER, "amount": "7"}, {"token": TOKEN, "amount": "8"}], "note": "hi"},
        "flags": [True, False],
    }


def test_an_anonymous_event_is_asked_for_by_address_and_read_when_no_other_fits() -> None:
    note = event("LogNote", {"name": "sig", "type": "bytes4", "indexed": True}, {"name": "wad", "type": "uint256"})
    adapter = made({**note, "anonymous": True}, *erc("erc20.json"))
    assert adapter.wanted == LogFilter((TOKEN,), ())
    log = make_log(TOKEN, [b"\xca\xfe\xba\xbe".ljust(32, b"\0")], encode(["uint256"], [3]))
    assert args(adapter.decode(log)) == {"sig": "0xcafebabe", "wad": "3"}
    assert adapter.decode(make_log(TOKEN, [b"\xff" * 32], b"")) is None


def test_damage_is_named_and_what_is_not_in_the_abi_passes_by() -> None:
    adapter = made(*erc("erc20.json"))
    with pytest.raises(Undecodable, match=r"Transfer\(address,address,uint256\): the log has 2 topics instead of 3"):
        adapter.decode(make_log(TOKEN, [TRANSFER, bytes(32)], b""))
    assert adapter.decode(make_log(TOKEN, [b"\1" * 32], b"")) is None
    assert adapter.decode(make_log(TOKEN, [], b"")) is None


def test_what_no_message_could_hold_is_told_without_its_arguments() -> None:
    adapter = made(event("Blob", {"name": "data", "type": "bytes"}))
    data = encode(["bytes"], [b"x" * MAX_DATA])
    decoded = adapter.decode(make_log(TOKEN, [keccak(text="Blob(bytes)")], data))
    assert decoded is not None
    assert decoded.data == {"event": "Blob", "signature": "Blob(bytes)", "args": None, "data_bytes": len(data)}


def test_proxies_are_told_under_their_own_address() -> None:
    adapter = ContractAbi((TOKEN, TRADER), json.dumps(erc("erc20.json")))
    topics = [TRANSFER, indexed("address", TRADER), indexed("address", TOKEN)]
    for address in (TOKEN, TRADER):
        assert adapter.decode(make_log(address, topics, encode(["uint256"], [5]))) is not None
