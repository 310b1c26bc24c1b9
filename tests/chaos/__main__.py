"""`make chaos`: a storm of faults on the local stack, for about five minutes.

The exit status is 0 if every client has exactly the events of the chain. The seed determines which faults happen, but
their times depend on the machine, so two runs with the same seed differ in details.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from chaincast.publish import Publisher
from local.commands.load import trade
from local.stack.checkout import BUILD, REGION, ROOT, free_port
from local.stack.demo_market import Market
from local.stack.local_stack import StackOptions
from local.stack.processes import Child
from tests.chaos.clients import Survivor
from tests.chaos.rpc import FlakyNode
from tests.chaos.world import ChaosStack, World
from tests.e2e.mining import Expected, Miner
from tests.factories import of_logs

Report: TypeAlias = dict[str, Any]  # as --json prints it

STORM_SECONDS = 70.0
TOTAL_SECONDS = 600.0
"""Maximum seconds from the start of the stack to the verdict, which comes as soon as everything is delivered and tidy.

The last holds are removed two minutes after the last resume, and a slow machine needs minutes to serve all clients that
resume.
"""

CLIENTS = 24
SYMBOL = "CHAOS"
MAX_REORG_DEPTH = 6

ODDS = {
    "throttled": 0.03,
    "cancelled": 0.05,
    "answer-lost": 0.01,
    "send-failed": 0.04,
    "send-answer-lost": 0.04,
    "receive-failed": 0.1,
    "delivered-twice": 0.1,
    "function-killed": 0.03,
    "disconnect-lost": 0.3,
    "client-stalls": 0.01,
}


def main() -> int:
    """Run the storm and print its report. Return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    odds = BUILD / f"chaos-{free_port()}.json"
    os.environ |= {"CHAINCAST_CHAOS": str(odds), "CHAINCAST_SEED": str(options.seed)}
    os.environ |= {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": REGION}
    began, node_port, proxy_port = time.monotonic(), free_port(), free_port()
    stack = ChaosStack(
        StackOptions(
            port=free_port(),
            node_port=node_port,
            block_time=None,
            seed=None,
            emulator=ROOT / "tests" / "chaos" / "emulator.py",
        ),
        node_url=f"ws://127.0.0.1:{node_port}",
    )
    try:
        with stack:
            dice = random.Random(options.seed)
            node = FlakyNode(stack.node.ws_url, proxy_port, dice)
            storm = _Storm(stack, World(stack, odds), dice, node, began + TOTAL_SECONDS)
            report = asyncio.run(storm.run())
    finally:
        odds.unlink(missing_ok=True)
    report |= {"seed": options.seed, "seconds": round(time.monotonic() - began)}
    print(json.dumps(report) if options.json else _text(report))
    return 0 if report["green"] else 1


@dataclass(slots=True)
class _Storm:
    stack: ChaosStack
    world: World
    dice: random.Random
    node: FlakyNode
    deadline: float
    faults: Counter[str] = field(default_factory=Counter)
    published: int = 0
    survivors: list[Survivor] = field(default_factory=list)

    async def run(self) -> Report:
        miner = Miner(self.stack.node, Market(self.stack.node, seed=self.dice.randrange(1000)))
        await asyncio.to_thread(miner.create_tokens, 4)
        created = miner.node.block_number()
        await asyncio.to_thread(miner.node.mine, MAX_REORG_DEPTH + 1)  # so that no reorganisation reaches the tokens
        await self.node.start()
        await self._replace_listener()
        await _until(lambda: self.world.indexed(created), self.deadline)
        cursors = await asyncio.to_thread(self.world.newest_cursors)
        first = miner.node.block_number() + 1
        await self._gather(miner, cursors)
        await asyncio.to_thread(self.world.shorten_visibility)
        await asyncio.to_thread(self.world.send_poison_message)
        with Publisher(self.stack.outputs.http_url, region=REGION, timeout=120) as backend:
            await self._rage(miner, backend)
        await self._restore(miner)
        return await self._judge(miner, first)

    async def _gather(self, miner: Miner, cursors: Mapping[str, str]) -> None:
        created = await asyncio.to_thread(miner.expected, 0, miner.node.block_number())
        scopes = [topic for event in created for topic in event.topics if topic.startswith("token:")]
        tokens = sorted({scope.rpartition(":")[2] for scope in scopes})
        choices: list[tuple[str, ...]] = [("network:anvil", f"trade:{SYMBOL}"), ("network:anvil",), ("tokens:anvil",)]
        choices += [(f"trades:anvil:{token}", f"trade:{SYMBOL}") for token in tokens]
        for number in range(CLIENTS):
            topics = choices[number % len(choices)]
            sources = ("anvil", "app-0") if len(topics) == 2 else ("anvil",)
            since = {source: cursors[source] for source in sources}
            self.survivors.append(Survivor(self.stack.outputs.websocket_url, topics, since, self.dice))
        for survivor in self.survivors:
            survivor.start()
        await asyncio.gather(*(survivor.subscribed.wait() for survivor in self.survivors))

    async def _rage(self, miner: Miner, backend: Publisher) -> None:
        """Mine, publish, and inject faults at random times."""
        self.world.set_odds(ODDS)
        self.node.calm = False
        ends, next_fault = time.monotonic() + STORM_SECONDS, time.monotonic()
        faults: list[Callable[[Miner], Awaitable[None]]] = [self._kill, self._reorganise, self._cut, self._reorganise]
        while time.monotonic() < ends:
            await asyncio.to_thread(miner.block, self.dice.randint(1, 6))
            for _ in range(self.dice.randint(0, 3)):
                backend.send(trade(SYMBOL, self.published + 1.0))
                self.published += 1
            if time.monotonic() >= next_fault:
                await self.dice.choice(faults)(miner)
                next_fault = time.monotonic() + self.dice.uniform(1, 5)
            await asyncio.sleep(self.dice.uniform(0.1, 0.6))
        # Wait until the stack has accepted all publications, still during the storm.
        await asyncio.to_thread(backend.flush)

    async def _kill(self, _: Miner) -> None:
        self.faults["listeners killed"] += 1
        await self._replace_listener()

    async def _replace_listener(self) -> None:
        def replace() -> None:
            for child in [child for child in self.stack.children if child.name == "listener"]:
                child.process.kill()
                self.stack.stop_child(child)
            self.stack.node_url = self.node.url
            self._start()

        await asyncio.to_thread(replace)

    def _start(self) -> Child:
        # Faults may delay the lease, so do not wait for it.
        return self.stack.start_listener(standby=True)

    async def _reorganise(self, miner: Miner) -> None:
        self.faults["reorganisations"] += 1
        await asyncio.to_thread(miner.node.call, "anvil_reorg", self.dice.randint(1, MAX_REORG_DEPTH), [])

    async def _cut(self, _: Miner) -> None:
        for survivor in self.dice.sample(self.survivors, self.dice.randint(1, CLIENTS // 3)):
            self.faults["client sockets cut"] += 1
            survivor.cut()

    async def _restore(self, miner: Miner) -> None:
        """End the storm, and mine a last block that has events of every topic."""
        self.world.set_odds({})
        self.node.calm = True
        if not any(child.name == "listener" and child.running for child in self.stack.children):
            await self._replace_listener()
        await asyncio.to_thread(miner.create_tokens, 1)

    async def _judge(self, miner: Miner, first: int) -> Report:
        expected = await asyncio.to_thread(miner.expected, first, miner.node.block_number())
        await _until(lambda: all(self._verdict(s, expected) == (0, 0, 0) for s in self.survivors), self.deadline - 10)
        verdicts = [self._verdict(survivor, expected) for survivor in self.survivors]
        lost, wrong, disordered = (sum(verdict[n] for verdict in verdicts) for n in range(3))
        unhappy = [self._case(s, expected) for s, v in zip(self.survivors, verdicts, strict=True) if any(v)]
        delivered = sum(len(survivor.held) for survivor in self.survivors)
        tidy = await self._tidy()
        faults = self.faults + self.node.faults + await asyncio.to_thread(self.world.faults)
        return {
            "faults": dict(faults.most_common()),
            "injected": faults.total(),
            "events": len(expected) + self.published,
            "delivered": delivered,
            "lost": lost,
            "wrong": wrong,
            "disordered": disordered,
            "repeats": sum(survivor.repeats for survivor in self.survivors),
            "reconnections": sum(survivor.connections for survivor in self.survivors) - CLIENTS,
            "unhappy": unhappy,
            **tidy,
            "green": lost == wrong == disordered == 0 and _is_tidy(tidy, faults),
        }

    def _verdict(self, survivor: Survivor, expected: list[Expected]) -> tuple[int, int, int]:
        """Return the numbers of lost and of wrong events of a client, and 1 if its events are out of order, else 0."""
        held = [id_ for id_ in of_logs(survivor.held) if id_.startswith("anvil:")]
        wanted = [event.id for event in expected if event.topics.intersection(survivor.topics)]
        amounts = [e["data"]["amount"] for e in survivor.held.values() if e["kind"] == "trade" and "block" not in e]
        published = [float(n + 1) for n in range(self.published)] if f"trade:{SYMBOL}" in survivor.topics else []
        lost = len({*wanted} - {*held}) + len({*published} - {*amounts})
        wrong = len({*held} - {*wanted}) + len({*amounts} - {*published})
        return lost, wrong, int(not lost and not wrong and (held != wanted or amounts != published))

    def _case(self, survivor: Survivor, expected: list[Expected]) -> Report:
        """Return details of a client with a wrong result, for the search for the cause."""
        wanted = {event.id for event in expected if event.topics.intersection(survivor.topics)}
        held = {id_ for id_ in of_logs(survivor.held) if id_.startswith("anvil:")}
        return {
            "connection": survivor.connection_id,
            "subscribed": survivor.subscribed.is_set(),
            "failure": survivor.failure,
            "seconds since last message": round(time.monotonic() - survivor.last_message, 1),
            "connections": survivor.connections,
            "topics": survivor.topics,
            "lost": sorted(wanted - held)[:3],
            "wrong": sorted(held - wanted)[:3],
        }

    async def _tidy(self) -> Report:
        """Stop half of the clients without `$disconnect`. After a heartbeat the tables must contain only the others."""
        self.world.set_odds({"disconnect-lost": 1.0})
        leaving, staying = self.survivors[::2], self.survivors[1::2]
        await asyncio.gather(*(survivor.stop() for survivor in leaving))
        result = await asyncio.to_thread(self.world.heartbeat)
        alive = {survivor.connection_id for survivor in staying}

        def is_tidy() -> bool:
            # A job removes the holds of closed connections two minutes after their replay.
            return self.world.dead_letters() == _EXPECTED_DEAD_LETTERS and not self.world.subscriptions().keys() - alive

        await _until(is_tidy, self.deadline)
        connections = await asyncio.to_thread(self.world.connections)
        held = await asyncio.to_thread(self.world.subscriptions)
        dead = await asyncio.to_thread(self.world.dead_letters)
        counted = await asyncio.to_thread(self.world.counted)
        await asyncio.gather(*(survivor.stop() for survivor in staying))
        await self.node.stop()
        return {
            "removed": result["gone"],
            "orphan connections": sorted(connections - alive),
            "orphan subscriptions": {name: dict(counts) for name, counts in held.items() if name not in alive},
            "missing": sorted(alive - connections),
            "counted": list(counted),
            "actual": [len(connections), sum(counts["rows"] for counts in held.values())],
            "dead letters": dead,
            "unexpected dead letters": await asyncio.to_thread(self.world.unexpected_dead_letters),
        }


async def _until(condition: Callable[[], bool], deadline: float) -> None:
    """Poll a condition until it holds or the deadline has passed."""
    while not await asyncio.to_thread(condition) and time.monotonic() < deadline:  # noqa: ASYNC110 - no event exists
        await asyncio.sleep(0.5)


_EXPECTED_DEAD_LETTERS = {"fanout": 0, "lifecycle": 1}
"""Messages that the dead-letter queues should hold: only the poison message."""


def _is_tidy(report: Report, faults: Mapping[str, int]) -> bool:
    """Return True if no records of closed connections are left and open ones are counted.

    A lost response or a killed function leaves open whether a connection and its topics were counted, so each of these
    faults may change the counts by two.
    """
    uncertain = faults.get("answer-lost", 0) + faults.get("function-killed", 0)
    pairs = zip(report["counted"], report["actual"], strict=True)
    miscounted = max(abs(counted - actual) for counted, actual in pairs)
    untidy = report["orphan connections"] or report["orphan subscriptions"] or report["missing"]
    return not untidy and report["dead letters"] == _EXPECTED_DEAD_LETTERS and miscounted <= 2 * uncertain


def _text(report: Report) -> str:
    faults = "\n".join(f"    {count:6} {name}" for name, count in report["faults"].items())
    rest = "\n".join(f"  {name}: {value}" for name, value in report.items() if name not in ("faults", "green"))
    verdict = "green: every client has exactly the events of the chain" if report["green"] else "RED"
    return f"{verdict}\n{rest}\n  faults:\n{faults}"


if __name__ == "__main__":
    sys.exit(main())
