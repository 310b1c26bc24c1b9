"""Decoding of logs: web3's `process_log`, eth-abi, faster-eth-abi (mypyc), and Chaincast.

The logs are those of Ethereum's block 17173049 (`../shared/data`), by event, or logs of the same shapes if that
directory does not exist. All libraries decode the same logs, one after the other; figures are the best of five.
Chaincast returns the complete arguments of the event as JSON values, eth-abi and faster-eth-abi only the values.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

from eth_abi.abi import encode
from hexbytes import HexBytes
from web3 import Web3
from web3.types import LogReceipt

from benchmarks.report import finish, parser, show
from listener.adapters.abi import EventDecoder
from listener.adapters.codec import parameters_of
from listener.sources.base import RawLog
from local.stack.checkout import PYTHON, ROOT
from tests.simulation.recorded import FOLDER, lines

EVENTS: dict[str, list[tuple[str, str, bool]]] = {
    "Transfer": [("from", "address", True), ("to", "address", True), ("value", "uint256", False)],
    "Swap": [
        ("sender", "address", True),
        *((name, "uint256", False) for name in ("amount0In", "amount1In", "amount0Out", "amount1Out")),
        ("to", "address", True),
    ],
    "Sync": [("reserve0", "uint112", False), ("reserve1", "uint112", False)],
}
ROUNDS = 5
ENOUGH = 2_000


def main() -> int:
    arguments = parser(__doc__).parse_args()
    enough, rounds = (100, 1) if arguments.quick else (ENOUGH, ROUNDS)
    # A quick run omits the library that needs an environment of its own.
    libraries = {"eth_abi": PYTHON} | ({} if arguments.quick else {"faster_eth_abi": _environment()})
    rows, figures = [], {}
    for name, inputs in EVENTS.items():
        abi = {
            "type": "event",
            "name": name,
            "anonymous": False,
            "inputs": [{"name": n, "type": t, "indexed": i} for n, t, i in inputs],
        }
        logs = _logs(abi, enough)
        found = {
            "web3": _web3(abi, logs[: enough // 4], rounds),
            **{name: _worker(python, name, abi, logs) for name, python in libraries.items()},
            "ours": _ours(abi, logs, rounds),
        }
        ratio = found["web3"] / found["ours"]
        rows.append([name, *(f"{value:.1f}" for value in found.values()), f"{ratio:.0f} ×"])
        figures[name] = {**found, "times_web3": ratio}
    columns = ["event", "web3 process_log", *(name.replace("_", "-") for name in libraries), "ours", "web3 / ours"]
    show("decoding a log, µs", columns, rows)
    finish(arguments, figures)
    return 0


def _logs(abi: dict[str, Any], enough: int) -> list[RawLog]:
    """Return real logs of the event, repeated until there are enough."""
    decoder = EventDecoder(abi["name"], *parameters_of(abi["inputs"]))
    if FOLDER.exists():
        found = [
            RawLog(
                log["address"],
                tuple(bytes.fromhex(t[2:]) for t in log["topics"]),
                bytes.fromhex(log["data"][2:]),
                i,
                "",
            )
            for i, log in enumerate(lines("logs"))
        ]
        logs = [log for log in found if log.topics[0] == decoder.topic0 and len(log.topics) == decoder.topic_count]
    else:
        values: dict[str, Any] = {"address": "0x" + "ab" * 20, "uint256": 2**90, "uint112": 2**90}
        topics = [encode([i["type"]], [values[i["type"]]]) for i in abi["inputs"] if i["indexed"]]
        types = [i["type"] for i in abi["inputs"] if not i["indexed"]]
        data = encode(types, [values[t] for t in types])
        logs = [RawLog("0x" + "cd" * 20, (decoder.topic0, *topics), data, 0, "")]
    return (logs * (enough // len(logs) + 1))[:enough]


def _best(work: Callable[[], object], count: int, rounds: int) -> float:
    best = float("inf")
    for _ in range(rounds):
        started = perf_counter()
        work()
        best = min(best, perf_counter() - started)
    return best / count * 1e6


def _ours(abi: dict[str, Any], logs: Sequence[RawLog], rounds: int) -> float:
    decoder = EventDecoder(abi["name"], *parameters_of(abi["inputs"]), json=True)

    def work() -> None:
        for log in logs:
            decoder.decode(log)

    return _best(work, len(logs), rounds)


def _web3(abi: dict[str, Any], logs: Sequence[RawLog], rounds: int) -> float:
    event = Web3().eth.contract(abi=[abi]).events[abi["name"]]()
    receipts = [
        LogReceipt(
            address=Web3.to_checksum_address(log.address),
            topics=[HexBytes(topic) for topic in log.topics],
            data=HexBytes(log.data),
            blockHash=HexBytes(bytes(32)),
            blockNumber=1,  # type: ignore[typeddict-item]  # a number, as web3 gives it
            transactionHash=HexBytes(bytes(32)),
            transactionIndex=0,
            logIndex=log.log_index,
            payload=HexBytes(b""),
            removed=False,
            topic=HexBytes(b""),
            blockTimestamp=0,
        )
        for log in logs
    ]

    def work() -> None:
        for receipt in receipts:
            event.process_log(receipt)

    return _best(work, len(receipts), rounds)


def _worker(python: str, library: str, abi: dict[str, Any], logs: Sequence[RawLog]) -> float:
    indexed = [i["type"] for i in abi["inputs"] if i["indexed"]]
    plain = [i["type"] for i in abi["inputs"] if not i["indexed"]]
    work = [
        ([(t, topic.hex()) for t, topic in zip(indexed, log.topics[1:], strict=True)], plain, log.data.hex())
        for log in logs
    ]
    script = str(Path(__file__).with_name("decoding_worker.py"))
    done = subprocess.run([python, script, library], input=json.dumps(work), capture_output=True, text=True, check=True)
    return float(done.stdout)


def _environment() -> str:
    """Return the Python executable of an environment with faster-eth-abi."""
    folder = ROOT / ".build" / "comparison"
    python = str(folder / "bin" / "python")
    if not folder.exists():
        uv = [PYTHON, "-m", "uv"]
        subprocess.run([*uv, "venv", "--quiet", "--python", sys.executable, str(folder)], check=True)
        install = [*uv, "pip", "install", "--quiet", "--python", python, "--require-hashes", "--no-deps"]
        subprocess.run([*install, "-r", str(ROOT / "requirements" / "comparison.txt")], check=True)
    return python


if __name__ == "__main__":
    sys.exit(main())
