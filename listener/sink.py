"""Writes a network's batches: contracts, then event log and checkpoint, then history, then the fan-out queue.

Only the write of event log and checkpoint has a fence, the lease's. History comes after it, so that it never has events
of a batch that is not in the log, whichever process wrote them. The checkpoint also says which batch is the newest
queued one. A crash between two steps is repaired by `take_over` at the next start: later batches of the log are added
to history and queued again, contracts of later blocks are removed, and the unfinished block is processed again. The
chain may show another block by then.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from time import monotonic, perf_counter, time
from typing import TYPE_CHECKING

from chaincast.eventlog.checkpoint import ChainProgress, Checkpoint
from chaincast.eventlog.contract_store import Contracts
from chaincast.eventlog.history_store import History
from chaincast.eventlog.lease import Lease
from chaincast.eventlog.log_store import Log
from chaincast.fanout.queue import FanoutQueue
from chaincast.model.batches import Batch, EncodedBatch, Retraction, encode_batch, encode_parts
from chaincast.model.discovered_contracts import Discovery
from chaincast.model.events import Event
from chaincast.model.sharding import ShardingState, decode_sharding

if TYPE_CHECKING:
    from listener.reorg import Fork
    from listener.sources.base import Block

EMPTY_BLOCKS_SECONDS = 5.0
"""Seconds between writes of the checkpoint while blocks have no events. A crash repeats the later blocks."""


def make_batch(source: str, seq: int, block: Block, events: tuple[Event, ...]) -> Batch:
    """Return the batch of a block's events."""
    return Batch(
        source=source,
        seq=seq,
        timestamp=block.timestamp * 1000,
        events=events,
        block=block.number,
        block_hash=block.hash,
    )


class Sink:
    """Writes one network's batches. Blocking; used from one thread at a time, `renew_lease` from another."""

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
        self._progress = ChainProgress()
        self._saved = Checkpoint()
        self._saved_at = 0.0
        self.checkpoint = Checkpoint()

    def take_over(self, source: str) -> bool:
        """Take the lease, and complete what the previous holder did not: contracts, history and queued batches.

        Return False if another listener holds the lease: this one is a standby.
        """
        checkpoint = self._lease.acquire()
        if checkpoint is None:
            return False
        wanted = self._sharding.shards
        if self._lease.sharding:
            self._sharding = decode_sharding(self._lease.sharding)
        self._contracts.remove_behind(-1 if checkpoint.block is None else checkpoint.block)
        for batch in self._log.after(source, checkpoint.queued):
            self._history.remove_retracted(batch.retracted)
            self._history.add([batch])
            self._send(EncodedBatch(batch, encode_batch(batch)))
        self._reshard(source, wanted, checkpoint.seq)
        self.checkpoint = replace(checkpoint, queued=checkpoint.seq)
        self._saved, self._saved_at = checkpoint, monotonic()
        return True

    def start_after(self, block: int, backfill_to: int) -> None:
        """Save the block after which a new network begins, and the last block of its backfill."""
        with self._lock:
            self._lease.save_backfill_to(backfill_to)
            self.checkpoint = replace(self.checkpoint, block=block)
            self._save()

    def observe_head(self, head: int) -> None:
        """Record the chain's head. It is saved with the next write."""
        self._progress = replace(self._progress, head=max(head, self._progress.head))

    def discoveries(self) -> Iterator[Discovery]:
        """Yield the contracts discovered so far."""
        return self._contracts.all()

    @property
    def backfill_to(self) -> int:
        """The last block of the backfill. Events up to it are not delivered to clients."""
        return self._lease.backfill_to

    def backfill(self, batches: Sequence[Batch], discovered: Iterable[Discovery], last: Block) -> None:
        """Write the events of blocks up to `last` to History and State only."""
        self._contracts.put(discovered)
        self._history.add(batches)
        self.skip(last)

    def write(self, batch: Batch, discovered: Iterable[Discovery]) -> dict[str, float]:
        """Write one block's batch, whose number must be the next. Return the milliseconds of each step."""
        assert batch.block is not None
        started = perf_counter()
        self._contracts.put(discovered)
        self._progress = replace(self._progress, block_time=batch.timestamp // 1000)
        parts = self._append(batch)
        appended = perf_counter()
        self._lease.check_term()  # history has no fence
        self._history.add([batch])
        remembered = perf_counter()
        self._queue_up(batch, parts)
        queued = perf_counter()
        steps = {"log": started, "history": appended, "queue": remembered}
        ends = (appended, remembered, queued)
        return {name: (end - start) * 1000 for (name, start), end in zip(steps.items(), ends, strict=True)}

    def retract(self, source: str, fork: Fork) -> None:
        """Undo everything after a fork's ancestor, and continue from there."""
        if fork.retracted:
            batch = Batch(
                source=source,
                seq=self.checkpoint.seq + 1,
                timestamp=fork.timestamp,
                retracted=tuple(Retraction(event.id, event.topics) for event in fork.retracted),
                block=fork.ancestor.number,
                block_hash=fork.ancestor.hash,
            )
            parts = self._append(batch)
            self._lease.check_term()
            self._history.remove_retracted(batch.retracted)
            self._contracts.remove_behind(fork.ancestor.number)
            self._queue_up(batch, parts)
        else:
            with self._lock:
                self.checkpoint = replace(self.checkpoint, block=fork.ancestor.number, block_hash=fork.ancestor.hash)
                self._save()
            self._contracts.remove_behind(fork.ancestor.number)

    def backwards(self, source: str) -> Iterator[Batch]:
        """Yield the batches of the event log, newest first."""
        return self._log.backwards(source)

    def skip(self, block: Block, discovered: Iterable[Discovery] = ()) -> None:
        """Move the checkpoint to a block without events, and save the contracts that were discovered in it."""
        self._contracts.put(discovered)
        with self._lock:
            self._progress = replace(self._progress, block_time=block.timestamp)
            self.checkpoint = replace(self.checkpoint, block=block.number, block_hash=block.hash)
            if monotonic() - self._saved_at >= EMPTY_BLOCKS_SECONDS:
                self._save()

    def renew_lease(self) -> None:
        """Extend the lease by a term, and save the checkpoint if it has moved."""
        with self._lock:
            if self.checkpoint != self._saved:
                self._save()
            else:
                self._lease.renew(self._progress)

    def close(self) -> None:
        """Save the checkpoint and release the lease."""
        with self._lock:
            if self.checkpoint != self._saved:
                self._save()
            self._lease.release()

    def _append(self, batch: Batch) -> list[EncodedBatch]:
        """Append a batch to the log and move the checkpoint to its block. Return its parts."""
        parts = encode_parts(batch)
        with self._lock:
            after = replace(self.checkpoint, seq=batch.seq, block=batch.block, block_hash=batch.block_hash)
            self._log.append(parts, self._lease, after, self._progress)
            self.checkpoint, self._saved, self._saved_at = after, after, monotonic()
        return parts

    def _queue_up(self, batch: Batch, parts: Iterable[EncodedBatch]) -> None:
        for part in parts:
            self._lease.check_term()  # the queue cannot check a fence
            self._send(part)
        with self._lock:
            self.checkpoint = replace(self.checkpoint, queued=batch.seq)

    def _send(self, part: EncodedBatch) -> None:
        self._queue.send(part, self._sharding.assignments_for(part.batch.seq, time()))

    def _reshard(self, source: str, shards: int, seq: int) -> None:
        """Complete a change of the shard count that was interrupted; then change it to `shards` after batch `seq`."""
        self._complete_resharding(source)
        self._sharding = self._sharding.resharded(shards, seq, time())
        if self._sharding.encode() != self._lease.sharding:
            self._lease.save_sharding(self._sharding.encode())
        self._complete_resharding(source)

    def _complete_resharding(self, source: str) -> None:
        resharding = self._sharding.resharding
        if resharding is None:
            return
        completed = self._sharding.completed()
        previous = self._sharding.previous_assignments()
        self._queue.send_resharding(source, resharding.seq, previous, completed.assignments(time()))
        self._lease.save_sharding(completed.encode())
        self._sharding = completed

    def _save(self) -> None:
        self._lease.save(self.checkpoint, self._progress)
        self._saved, self._saved_at = self.checkpoint, monotonic()
