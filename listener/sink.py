"""Where batches go: History and State, then the Log with the checkpoint, then the queue, then the mark (DESIGN 3).

A crash between any two of these is mended by `recover` at the next start: what the Log has beyond the mark is queued
again, and the block that was under way is indexed again, to the same bytes.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from time import monotonic, perf_counter, time
from typing import TYPE_CHECKING

from chaincast.eventlog.checkpoint import Checkpoint, Lease, Standing
from chaincast.eventlog.contract_store import Contracts
from chaincast.eventlog.history_store import History
from chaincast.eventlog.log_store import Log
from chaincast.fanout.queue import FanoutQueue
from chaincast.model.batches import Batch, Retraction, split_batch
from chaincast.model.discovered_contracts import Discovery
from chaincast.model.sharding import ShardingState, decode_sharding

if TYPE_CHECKING:
    from listener.reorg import Fork
    from listener.sources.base import Block

EMPTY_BLOCKS_SECONDS = 5.0
"""How often the checkpoint moves over blocks without events; those since are scanned again after a crash."""


class Sink:
    """Writes one network's batches. Blocking; used from one thread at a time, `keep` from another."""

    def __init__(
        self, lease: Lease, log: Log, history: History, contracts: Contracts, queue: FanoutQueue, shards: int
    ) -> None:
        self._lease = lease
        self._log = log
        self._history = history
        self._contracts = contracts
        self._queue = queue
        self._sharding = ShardingState(shards)
        self._lock = threading.Lock()
        self._saved = Checkpoint()
        self._saved_at = 0.0
        self.checkpoint = Checkpoint()

    def recover(self, source: str) -> Checkpoint | None:
        """Take the lease and queue what an earlier life left behind; `None` while another holds the lease."""
        checkpoint = self._lease.acquire()
        if checkpoint is None:
            return None
        wanted = self._sharding.shards
        if self._lease.sharding:
            self._sharding = decode_sharding(self._lease.sharding)
        for batch in self._log.after(source, checkpoint.queued):
            self._send(batch)
        self._reshard(source, wanted, checkpoint.seq)
        self.checkpoint = replace(checkpoint, queued=checkpoint.seq)
        self._saved, self._saved_at = checkpoint, monotonic()
        return self.checkpoint

    def begin_after(self, block: int, backfill_to: int) -> None:
        """Settle where a network without a checkpoint begins: with the block after this one; and its backfill's end."""
        with self._lock:
            self._lease.begin_backfill(backfill_to)
            self.checkpoint = replace(self.checkpoint, block=block)
            self._save()

    def stands(self, *, head: int = 0, block_time: int = 0) -> None:
        """The chain's head is known to be there; the block that is written next was made then (s). Told with the next
        write, whatever it is."""
        before = self._lease.standing
        self._lease.standing = Standing(max(head, before.head), block_time or before.block_time)

    def discoveries(self) -> Iterator[Discovery]:
        """The contracts discovered so far."""
        return self._contracts.all()

    @property
    def backfill_to(self) -> int:
        """Up to which block events are not for clients."""
        return self._lease.backfill_to

    def backfill(self, batches: Sequence[Batch], found: Iterable[Discovery], last: Block) -> None:
        """Write what blocks up to `last` brought, for History and State only."""
        self._contracts.put(found)
        self._history.add(batches)
        self.skip(last)

    def write(self, batch: Batch, found: Iterable[Discovery]) -> dict[str, float]:
        """Write one block's batch, whose number must be the next. The milliseconds of each step."""
        assert batch.block is not None
        started = perf_counter()
        self._contracts.put(found)
        self._history.add([batch])
        remembered = perf_counter()
        parts = self._append(batch)
        appended = perf_counter()
        self._queue_up(batch, parts)
        queued = perf_counter()
        steps = {"history": started, "log": remembered, "queue": appended}
        ends = (remembered, appended, queued)
        return {name: (end - start) * 1000 for (name, start), end in zip(steps.items(), ends, strict=True)}

    def retract(self, source: str, fork: Fork) -> None:
        """Take back what stands behind a fork's ancestor, and go on from there."""
        self._history.remove(fork.retracted)
        self._contracts.remove_behind(fork.ancestor.number)
        if fork.retracted:
            batch = Batch(
                source=source,
                seq=self.checkpoint.seq + 1,
                timestamp=fork.timestamp,
                retracted=tuple(Retraction(event.id, event.topics) for event in fork.retracted),
                block=fork.ancestor.number,
                block_hash=fork.ancestor.hash,
            )
            self._queue_up(batch, self._append(batch))
        else:
            with self._lock:
                self.checkpoint = replace(self.checkpoint, block=fork.ancestor.number, block_hash=fork.ancestor.hash)
                self._save()

    def backwards(self, source: str) -> Iterator[Batch]:
        """The batches of the Log, the newest first."""
        return self._log.backwards(source)

    def _append(self, batch: Batch) -> list[Batch]:
        """Append a batch and move the checkpoint to its block; its parts."""
        parts = split_batch(batch)
        with self._lock:
            after = replace(self.checkpoint, seq=batch.seq, block=batch.block, block_hash=batch.block_hash)
            self._lease.append([self._log.append(part) for part in parts], after)
            self.checkpoint, self._saved, self._saved_at = after, after, monotonic()
        return parts

    def _queue_up(self, batch: Batch, parts: Iterable[Batch]) -> None:
        for part in parts:
            self._lease.check()  # the queue knows no fence
            self._send(part)
        with self._lock:
            self.checkpoint = replace(self.checkpoint, queued=batch.seq)

    def skip(self, block: Block, found: Iterable[Discovery] = ()) -> None:
        """Note that blocks up to this one are done and brought nothing, but for contracts that were found."""
        self._contracts.put(found)
        with self._lock:
            self.checkpoint = replace(self.checkpoint, block=block.number, block_hash=block.hash)
            if monotonic() - self._saved_at >= EMPTY_BLOCKS_SECONDS:
                self._save()

    def keep(self) -> None:
        """Hold the lease for another term, and save what of the checkpoint is not saved yet."""
        with self._lock:
            if self.checkpoint != self._saved:
                self._save()
            else:
                self._lease.renew()

    def close(self) -> None:
        """Save the checkpoint and give the lease back."""
        with self._lock:
            if self.checkpoint != self._saved:
                self._save()
            self._lease.release()

    def _send(self, batch: Batch) -> None:
        self._queue.send(batch, self._sharding.assignments_for(batch.seq, time()))

    def _reshard(self, source: str, shards: int, seq: int) -> None:
        """End what an earlier life began of a change of shards; then go over to another number behind batch `seq`."""
        self._finish_switch(source)
        self._sharding = self._sharding.resharded(shards, seq, time())
        if self._sharding.encode() != self._lease.sharding:
            self._lease.remember(self._sharding.encode())
        self._finish_switch(source)

    def _finish_switch(self, source: str) -> None:
        switch = self._sharding.resharding
        if switch is None:
            return
        new = self._sharding.completed()
        self._queue.send_resharding(source, switch.seq, self._sharding.previous_assignments(), new.assignments(time()))
        self._lease.remember(new.encode())
        self._sharding = new

    def _save(self) -> None:
        self._lease.move(self.checkpoint)
        self._saved, self._saved_at = self.checkpoint, monotonic()
