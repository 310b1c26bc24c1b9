"""`chaincast.toml`: the one file a team edits. `load` reads and validates it; `model` says what may stand in it."""

from chaincast.config.load import load, parse
from chaincast.config.model import Config, Contract, Network

__all__ = ["Config", "Contract", "Network", "load", "parse"]
