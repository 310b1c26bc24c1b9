"""`python -m chaincast.config.reference`: print the configuration's reference as Markdown."""

from __future__ import annotations

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from chaincast.config.access import Access
from chaincast.config.auth import Auth
from chaincast.config.limits import Limits
from chaincast.config.market import Alerts
from chaincast.config.model import Config, Fanout, Retention
from chaincast.config.monitoring import Console, Monitoring
from chaincast.config.network import Backfill, Contract, Network
from chaincast.config.presets import PRESETS
from chaincast.config.publish import Admin, Archive, Kafka, Publish
from chaincast.config.topics import Premium

SECTIONS: tuple[tuple[str, type[BaseModel]], ...] = (
    ("[networks.NAME]", Network),
    ("[networks.NAME.backfill]", Backfill),
    ("[networks.NAME.alerts]", Alerts),
    ("[[networks.NAME.contracts]]", Contract),
    ("[limits]", Limits),
    ("[fanout]", Fanout),
    ("[retention]", Retention),
    ("[access]", Access),
    ("[auth]", Auth),
    ("[topics.premium]", Premium),
    ("[publish]", Publish),
    ("[admin]", Admin),
    ("[kafka]", Kafka),
    ("[archive]", Archive),
    ("[monitoring]", Monitoring),
    ("[console]", Console),
)


def markdown() -> str:
    """Return a table of keys, defaults and meanings for each section of the configuration."""
    assert {"networks", *(title.strip("[]").partition(".")[0] for title, _ in SECTIONS)} == set(Config.model_fields)
    tables = []
    for title, model in SECTIONS:
        rows = [
            _row(name, field)
            for name, field in model.model_fields.items()
            if name not in ("contracts", "backfill", "alerts")
        ]
        tables.append(f"## `{title}`\n\n| key | default | meaning |\n| --- | --- | --- |\n" + "\n".join(rows))
    return "\n\n".join([*tables, _presets()]) + "\n"


def _presets() -> str:
    rows = [f"| `{name}` | {p['chain_id']} | {p['block_ms']} | {p['finality_depth']} |" for name, p in PRESETS.items()]
    return (
        "## Known networks\n\nNetworks with these names have presets for `chain_id`, `block_ms`, `finality_depth`, "
        "`wrapped_native` and `stable_tokens` (on Stacks, `kind` and `rpc_url`). Keys in the file override them.\n\n"
        "| name | `chain_id` | `block_ms` | `finality_depth` |\n| --- | --- | --- | --- |\n" + "\n".join(rows)
    )


def _row(name: str, field: FieldInfo) -> str:
    default = "required" if field.is_required() else f"`{_toml(field.default)}`"
    return f"| `{name}` | {default} | {field.description} |"


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return f"[{', '.join(_toml(item) for item in value)}]"
    if isinstance(value, dict) or value is PydanticUndefined:
        return "{}"
    return f'"{value}"' if isinstance(value, str) else str(value)


if __name__ == "__main__":
    print(markdown(), end="")
