"""Builds the listener of a network from the configuration and the environment."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from functools import partial
from uuid import uuid4

from chaincast.aws import boto_clients, environment
from chaincast.config.model import Config
from chaincast.config.network import RPC_URL, Network, url_variable
from chaincast.errors import ConfigError
from chaincast.eventlog.contract_store import Contracts
from chaincast.eventlog.history_store import History
from chaincast.eventlog.lease import Lease
from chaincast.eventlog.log_store import Log
from chaincast.eventlog.market_store import MarketState
from chaincast.fanout.queue import FanoutQueue
from listener import adapters
from listener.adapters.codec import BadType
from listener.block_processor import BlockProcessor
from listener.follow import Follower
from listener.indexer import Indexer
from listener.market.settings import MarketSettings
from listener.market.store import MarketStore
from listener.metrics import ListenerMetrics
from listener.sink import Sink
from listener.sources.evm import EvmSource
from listener.sources.failover import Candidate, Failover
from listener.sources.rpc import Rpc
from listener.sources.stacks import StacksSource

LEASE_SECONDS = 15.0
DAY_SECONDS = 86_400


def urls_of(name: str, network: Network) -> tuple[str, ...]:
    """Return the URLs of a network's endpoints; the environment overrides the configuration. Raise `ConfigError`."""
    given = os.environ.get(url_variable(name), "")
    if not given and network.kind == "stacks":
        given = os.environ.get("STACKS_API_URL", "")  # the name that Stacks tools use
    urls = tuple(given.replace(",", " ").split()) or network.rpc_url
    if not urls:
        raise ConfigError(
            f"{name}: no endpoint URL is known; set {url_variable(name)} to the URLs in the secret "
            f"{network.rpc_secret!r}"
        )
    for place, url in enumerate(urls, 1):
        if not RPC_URL.fullmatch(url):
            raise ConfigError(
                f"{name}: the URL in place {place} does not begin with ws://, wss://, http:// or https://"
            )
    return urls


def make_source(name: str, network: Network, metrics: ListenerMetrics) -> Failover:
    """Return the endpoints of a network as one source."""
    sources = [_make_candidate(network, url, place, metrics) for place, url in enumerate(urls_of(name, network), 1)]
    return Failover(sources, network.block_ms / 1000, metrics.count_failover)


def _make_candidate(network: Network, url: str, place: int, metrics: ListenerMetrics) -> tuple[str, Candidate]:
    seconds, poll_seconds = network.block_ms / 1000, network.poll_ms / 1000
    if network.kind == "stacks":
        stacks = StacksSource(url, network.chain_id, seconds, poll_seconds)
        label = f"{place}:{stacks.name}"
        stacks.observe = partial(_observed, metrics, label)
        return label, stacks
    rpc = Rpc(url)
    label = f"{place}:{rpc.name}"
    rpc.observe = partial(_observed, metrics, label)
    return label, EvmSource(rpc, network.chain_id, seconds, poll_seconds, check_blooms=network.check_blooms)


def _observed(metrics: ListenerMetrics, label: str, method: str, seconds: float, fault: Exception | None) -> None:
    metrics.count_call(label, seconds, fault is not None)


def make_sink(config: Config, name: str, owner: str) -> Sink:
    """Return the sink of a network, with the tables and the queue that the environment names."""
    database = boto_clients.dynamodb()
    state = environment.require_env(environment.STATE)
    return Sink(
        Lease(database, state, name, owner, LEASE_SECONDS),
        Log(database, environment.require_env(environment.LOG), config.retention.log_hours * 3600),
        History(
            database,
            environment.require_env(environment.HISTORY),
            config.retention.history_days * DAY_SECONDS,
            {kind: days * DAY_SECONDS for kind, days in config.retention.history_days_by_kind.items()},
        ),
        Contracts(database, state, name),
        FanoutQueue(boto_clients.sqs(), environment.require_env(environment.FANOUT_QUEUE)),
        config.fanout.shards,
    )


def make_market_store(name: str, network: Network) -> MarketStore:
    """Return the store of a network's market state."""
    state = MarketState(boto_clients.dynamodb(), environment.require_env(environment.STATE), name)
    return MarketStore(state, name, MarketSettings.of(network))


def make_follower(config: Config, name: str, network: Network, report_liveness: Callable[[], None]) -> Follower:
    """Return the follower of one network. Raise `ConfigError`."""
    # An owner takes its own lease back immediately after a restart. By default each process is a new owner.
    owner = os.environ.get("CHAINCAST_OWNER") or f"{socket.gethostname()}/{uuid4()}"

    def make_indexer() -> Indexer:
        return Indexer(name, [adapters.make(contract, network) for contract in network.contracts])

    metrics = ListenerMetrics(name)
    source = make_source(name, network, metrics)
    try:
        processor = BlockProcessor(name, source, make_indexer, make_market_store(name, network))
    except BadType as error:
        raise ConfigError(f"{name}: its ABI cannot be used: {error}") from None
    return Follower(
        name, network, source, make_sink(config, name, owner), processor, LEASE_SECONDS, metrics, report_liveness
    )
