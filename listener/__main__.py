"""`python -m listener`: the container's entry. Which network and where to write, its environment says.

Exit codes: 0 stopped by SIGTERM, 2 the configuration or environment cannot be used, 3 the chain needs a person,
4 another listener took the network over (the orchestrator starts this one again, as its standby).
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from pathlib import Path
from uuid import uuid4

from aws_lambda_powertools import Logger

from chaincast.aws import clients, resources
from chaincast.aws.checkpoint import Lease
from chaincast.aws.contracts import Contracts
from chaincast.aws.history import History
from chaincast.aws.log import Log
from chaincast.aws.queue import FanoutQueue
from chaincast.config import Config, Network, load
from chaincast.errors import ConfigError, ForkDetected, LeaseLost, WrongChain
from listener import adapters, health
from listener.follow import Follower
from listener.indexer import Indexer
from listener.sink import Sink
from listener.sources.evm import EvmSource

logger = Logger(service="listener")

LEASE_SECONDS = 15.0


def make_sink(config: Config, name: str, owner: str) -> Sink:
    """The sink of a network, on the tables and the queue that the environment names."""
    database = clients.dynamodb()
    state = resources.name_of(resources.STATE)
    return Sink(
        Lease(database, state, name, owner, LEASE_SECONDS),
        Log(database, resources.name_of(resources.LOG), config.retention.log_hours * 3600),
        History(database, resources.name_of(resources.HISTORY), config.retention.history_days * 86400),
        Contracts(database, state, name),
        FanoutQueue(clients.sqs(), resources.name_of(resources.FANOUT_QUEUE)),
        config.fanout.shards,
    )


def make_follower(config: Config, name: str, network: Network) -> Follower:
    """The follower of one network."""
    url = os.environ.get("CHAINCAST_RPC_URL") or network.rpc_url
    # The same owner after a restart takes its own lease back at once; by default each process is an owner of its own.
    owner = os.environ.get("CHAINCAST_OWNER") or f"{socket.gethostname()}/{uuid4()}"

    def make_indexer() -> Indexer:
        return Indexer(name, [adapters.make(contract) for contract in network.contracts])

    source = EvmSource(url, network.chain_id, network.poll_ms / 1000)
    return Follower(name, network, source, make_sink(config, name, owner), make_indexer, LEASE_SECONDS, health.alive)


async def serve(follower: Follower) -> None:
    """Run until SIGTERM or SIGINT."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, follower.stop)
    await follower.run()


def main() -> int:
    try:
        config = load(Path(os.environ.get("CHAINCAST_CONFIG", "chaincast.toml")))
        name = os.environ.get("CHAINCAST_NETWORK", "")
        network = config.networks.get(name)
        if network is None:
            raise ConfigError(f"CHAINCAST_NETWORK is {name!r}; configured: {', '.join(config.networks) or 'none'}")
        follower = make_follower(config, name, network)
    except (ConfigError, KeyError) as error:
        logger.error("cannot start", error=str(error))
        return 2
    logger.info("starting", network=name, chain_id=network.chain_id, contracts=len(network.contracts))
    try:
        asyncio.run(serve(follower))
    except (WrongChain, ForkDetected) as error:
        logger.error("stopped", network=name, error=str(error))
        return 3
    except LeaseLost as error:
        logger.warning("stopped", network=name, error=str(error))
        return 4
    logger.info("stopped", network=name)
    return 0


if __name__ == "__main__":
    sys.exit(main())
