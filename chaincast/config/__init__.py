"""`chaincast.toml`: the one file a team edits. `load` reads and validates it; `model` says what may stand in it."""

from chaincast.config.load import load, parse
from chaincast.config.model import Config
from chaincast.config.network import Contract, Network, url_variable

__all__ = ["Config", "Contract", "Network", "load", "parse", "url_variable"]
