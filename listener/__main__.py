"""`python -m listener`: the entry point of the container. The environment names its networks and tables.

`CHAINCAST_NETWORK` names one network (on AWS each has its own container) or several, separated by commas (locally, in
one process). Exit codes: 0 stopped by SIGTERM or SIGINT; 2 the configuration or environment is invalid; 3 an
operator must act on a chain; 4 another listener took a network over (the orchestrator restarts this one as a standby).
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

from aws_lambda_powertools import Logger

from chaincast.config.load import load
from chaincast.config.model import Config
from chaincast.errors import ChaincastError, ConfigError, ForkDetected, LeaseLost, WrongChain
from listener import health
from listener.follow import Follower
from listener.wiring import make_follower

logger = Logger(service="listener")

_EXIT_CODES: Mapping[type[ChaincastError], int] = {ConfigError: 2, WrongChain: 3, ForkDetected: 3, LeaseLost: 4}


def make_followers(config: Config) -> dict[str, Follower]:
    """Return the followers of the environment's networks. Raise `ConfigError`, or KeyError for a missing variable."""
    names = [name.strip() for name in os.environ.get("CHAINCAST_NETWORK", "").split(",")]
    if unknown := [name for name in names if name not in config.networks]:
        known = ", ".join(config.networks) or "none"
        raise ConfigError(f"CHAINCAST_NETWORK is {','.join(names)!r}: {unknown[0]!r} is not configured; known: {known}")
    return {name: make_follower(config, name, config.networks[name], health.liveness_marker(name)) for name in names}


async def serve(followers: Mapping[str, Follower]) -> int:
    """Run all followers until SIGTERM or SIGINT. Return the exit code.

    A follower that fails does not stop the others, unless it lost its lease: then another process has taken over.
    """
    loop = asyncio.get_running_loop()
    stopping = list(followers.values())

    def stop() -> None:
        for follower in stopping:
            follower.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)

    async def follow(name: str, follower: Follower) -> int:
        try:
            await follower.run()
        except (ConfigError, WrongChain, ForkDetected, LeaseLost) as error:
            logger.error("stopped", network=name, error=str(error))
            if isinstance(error, LeaseLost):
                stop()
            return _EXIT_CODES[type(error)]
        logger.info("stopped", network=name)
        return 0

    return max(await asyncio.gather(*(follow(name, follower) for name, follower in followers.items())))


def main() -> int:
    try:
        followers = make_followers(load(Path(os.environ.get("CHAINCAST_CONFIG", "chaincast.toml"))))
    except (ConfigError, KeyError) as error:
        logger.error("cannot start", error=str(error))
        return 2
    logger.info("starting", networks=list(followers))
    return asyncio.run(serve(followers))


if __name__ == "__main__":
    sys.exit(main())
