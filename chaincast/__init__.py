"""Chaincast's core: what the functions and the listener share.

The modules directly in this package (and `config`, `dialects`, `fanout`) decide: they are pure, do no I/O and know
neither AWS nor a node. What talks to AWS lives in `chaincast.aws`. Import contracts in pyproject.toml keep it so.
"""

__version__ = "0.1.0"
