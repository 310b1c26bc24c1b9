"""A million hostile inputs for every decoder: no exception except the dialect's own error, and no expensive input.

Inputs are documented messages that are cut, spliced, repeated and nested, with changed bytes and JSON values, from a
random generator with `--seed`. An input that seems slow is measured three more times, and its best time counts, because
these machines pause now and then.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from random import Random
from time import perf_counter

from benchmarks.report import finish, parser, show
from chaincast.errors import RequestError
from chaincast.protocol.dialects import registry
from chaincast.protocol.dialects.base import Dialect

COUNT = 1_000_000
LIMIT_MS = 5.0
MAX_BYTES, MAX_TOPICS = 32_768, 50

_ADDRESS = "0x" + "ab" * 20
SEEDS: dict[str, list[str]] = {
    "chaincast.v1": [
        json.dumps(
            {"type": "subscribe", "id": 1, "topics": [f"trades:bsc:{_ADDRESS}", "tokens:*"], "kinds": ["trade"]}
        ),
        json.dumps({"type": "subscribe", "topics": ["tokens:*"], "since": {"bsc": "000000000042"}}),
        json.dumps({"type": "get", "id": "x", "what": "trades", "network": "bsc", "token": _ADDRESS, "limit": 5}),
        json.dumps({"type": "ping"}),
    ],
    "coremem": [
        json.dumps({"type": "subscribe", "channel": "prices", "params": {"tokens": [_ADDRESS, "*"]}}),
        json.dumps({"type": "subscribe", "channel": "tokens", "params": {"includeRecent": True}}),
        json.dumps({"type": "subscribe", "channel": "alerts", "params": {"types": ["price", "whale", "*"]}}),
        json.dumps({"type": "unsubscribe", "channel": "prices"}),
    ],
    "moonx": [
        json.dumps({"id": "a", "type": "authenticate", "timestamp": 1701234567890, "data": {"token": "eyJ.a.b"}}),
        json.dumps({"id": "m", "type": "subscribe", "timestamp": 1701234567890, "data": {"channel": "prices"}}),
        json.dumps({"id": "p", "type": "ping", "timestamp": 1701234567890, "data": {}}),
    ],
    "socketio": [
        '40{"token":"eyJ.a.b"}',
        "41",
        "2probe",
        '4212["subscribe:token",' + json.dumps({"tokenAddress": _ADDRESS, "network": "bscTestnet"}) + "]",
        '42["subscribe",' + json.dumps({"contractId": "ST1.campaigns", "eventTypes": ["bid_placed"]}) + "]",
        '42["subscribe",' + json.dumps({"types": ["price_updates", "trades"]}) + "]",
        '427["getHistory",' + json.dumps({"contractId": "ST1.campaigns", "limit": 50}) + "]",
        '42["join_room",' + json.dumps({"room": "price:BTC-USDC"}) + "]",
        '451-3["x",{"_placeholder":true,"num":0}]',
        "4312[1]",
    ],
}
_VALUES = (
    *(b'null true -1 1e999 NaN 0x10 "" [] {} "*" "__proto__" "\\ud800" "\\u0000" [[[[[[[[ ]]]]]]]]'.split()),
    *(b"9" * 40, b'"' + b"a" * 300 + b'"', b'{"a":' * 40, b"\xff", b"\xed\xa0\x80", b"\x00", b"\xe2\x80\xa8"),
)


def main() -> int:
    arguments = parser(__doc__)
    arguments.add_argument("--count", type=int, default=COUNT, help="inputs for each decoder")
    arguments.add_argument("--seed", type=int, default=1)
    options = arguments.parse_args()
    count = 500 if options.quick else options.count
    rows, figures = [], {}
    for name, seeds in SEEDS.items():
        found = _fuzz(registry.get(name, {}), [s.encode() for s in seeds], count, options.seed)
        accepted, microseconds, worst = found
        rows.append([name, f"{count:,}", f"{accepted:,}", f"{microseconds:.1f}", f"{worst:.2f}"])
        figures[name] = {"inputs": count, "accepted": accepted, "us": microseconds, "worst_ms": worst}
        assert worst < LIMIT_MS, f"{name}: an input costs {worst:.2f} ms"
    show("hostile inputs", ["decoder", "inputs", "commands", "µs each", "worst ms"], rows)
    finish(options, figures)
    return 0


def _fuzz(dialect: Dialect, seeds: list[bytes], count: int, seed: int) -> tuple[int, float, float]:
    """Return the number of commands, the mean in µs and the maximum in ms. Any other exception ends the benchmark."""
    dice = Random(seed)
    accepted, total, worst = 0, 0.0, 0.0
    for _ in range(count):
        body = _hostile(dice, seeds)
        took, command = _time(dialect.decode, body)
        accepted += command
        total += took
        if took > worst:
            worst = max(worst, min(took, *(_time(dialect.decode, body)[0] for _ in range(3))))
    return accepted, total / count * 1e6, worst * 1000


def _time(decode: Callable[[bytes, int, int], object], body: bytes) -> tuple[float, bool]:
    started = perf_counter()
    try:
        decode(body, MAX_BYTES, MAX_TOPICS)
    except RequestError:
        return perf_counter() - started, False
    return perf_counter() - started, True


def _hostile(dice: Random, seeds: list[bytes]) -> bytes:
    body = bytearray(dice.choice(seeds))
    for _ in range(dice.choice((0, 1, 1, 2, 3, 8))):
        place = dice.randrange(len(body) + 1)
        match dice.randrange(7):
            case 0:
                body[place : place + dice.randrange(1, 8)] = b""
            case 1:
                body[place:place] = dice.choice(_VALUES)
            case 2:
                body[place:place] = dice.randbytes(dice.randrange(1, 5))
            case 3:
                other = dice.choice(seeds)
                body[place:] = other[dice.randrange(len(other)) :]
            case 4:
                body[place:place] = body[place : place + 40] * dice.randrange(1, 20)
            case 5:
                _change_value(dice, body)
            case 6 if body and dice.random() < 0.02:
                body[place:place] = dice.choice((b"[", b'{"a":', b'"\\u00e9', b"9", b"a:b,")) * dice.randrange(1, 8_000)
    return bytes(body)


def _change_value(dice: Random, body: bytearray) -> None:
    """Replace the JSON value after a colon."""
    start = body.find(b":", dice.randrange(len(body) + 1))
    if start >= 0:
        ends = [end for mark in (b",", b"}") if (end := body.find(mark, start)) >= 0]
        body[start + 1 : min(ends, default=len(body))] = dice.choice(_VALUES)


if __name__ == "__main__":
    sys.exit(main())
