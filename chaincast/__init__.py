"""The code that Lambda functions, the listener and the tools share, in packages by feature (docs/architecture.md).

Modules that decide are pure: they neither do I/O nor import AWS or node libraries. Thin modules beside them talk to
AWS. Import contracts in pyproject.toml enforce the boundary.
"""

__version__ = "0.1.0"
