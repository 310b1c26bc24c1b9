"""`python -m chaincast.config FILE [--local]`: print the validated configuration as JSON, or its errors.

The CDK application runs this command, because `infra/` imports nothing of `chaincast/`.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from chaincast.config.load import load
from chaincast.config.network import url_variable
from chaincast.errors import ConfigError


def main(arguments: list[str] | None = None) -> int:
    """Print the configuration. Return 0, or 2 if the file is refused."""
    parser = argparse.ArgumentParser(prog="python -m chaincast.config", description=__doc__)
    parser.add_argument("file", type=Path, nargs="?", default=Path("chaincast.toml"))
    parser.add_argument("--local", action="store_true", help="print the configuration of the local stack")
    options = parser.parse_args(arguments)
    try:
        config = load(options.file)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    networks = config.deployed_networks(local=options.local)
    document = config.model_dump(mode="json") | {
        "networks": {
            name: {**n.model_dump(mode="json"), "url_variable": url_variable(name)} for name, n in networks.items()
        },
        "settings": config.settings(local=options.local).to_json(),
    }
    print(json.dumps(document))
    return 0


if __name__ == "__main__":
    sys.exit(main())
