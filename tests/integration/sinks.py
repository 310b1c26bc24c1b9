"""The listener's sink on moto, for tests of what it writes."""

from __future__ import annotations

from chaincast.model.batches import Batch
from listener.sink import Sink
from tests.factories import make_batch, make_event


def started(make_sink: object, **options: object) -> Sink:
    sink: Sink = make_sink(**options)  # type: ignore[operator]  # the fixture's function
    assert sink.take_over("anvil")
    return sink


def batch(seq: int) -> Batch:
    return make_batch(make_event(0, block=seq + 10), make_event(1, block=seq + 10), seq=seq, block=seq + 10)
