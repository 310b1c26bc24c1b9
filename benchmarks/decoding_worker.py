"""One library's part of `benchmarks.decoding`: decode the logs on standard input, and print microseconds per log.

It runs by path, in any environment that has the library, and imports nothing of this project.
"""

from __future__ import annotations

import importlib
import json
import sys
from time import perf_counter


def main() -> None:
    decode = importlib.import_module(f"{sys.argv[1]}.abi").decode
    logs = [
        ([([type_], bytes.fromhex(topic)) for type_, topic in topics], types, bytes.fromhex(data))
        for topics, types, data in json.load(sys.stdin)
    ]
    best = float("inf")
    for _ in range(5):
        started = perf_counter()
        for topics, types, data in logs:
            for type_, topic in topics:
                decode(type_, topic)
            decode(types, data)
        best = min(best, perf_counter() - started)
    print(best / len(logs) * 1e6)


if __name__ == "__main__":
    main()
