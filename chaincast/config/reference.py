"""The configuration's reference as Markdown, from the model: `python -m chaincast.config.reference`."""

from __future__ import annotations

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from chaincast.config.model import Config, Contract, Fanout, Limits, Network, Retention

SECTIONS: tuple[tuple[str, type[BaseModel]], ...] = (
    ("[networks.NAME]", Network),
    ("[[networks.NAME.contracts]]", Contract),
    ("[limits]", Limits),
    ("[fanout]", Fanout),
    ("[retention]", Retention),
)


def markdown() -> str:
    """One table per section: key, default, allowed range, meaning."""
    assert set(Config.model_fields) == {"networks", "limits", "fanout", "retention"}
    tables = []
    for title, model in SECTIONS:
        rows = [_row(name, field) for name, field in model.model_fields.items() if name != "contracts"]
        tables.append(f"## `{title}`\n\n| key | default | meaning |\n| --- | --- | --- |\n" + "\n".join(rows))
    return "\n\n".join(tables) + "\n"


def _row(name: str, field: FieldInfo) -> str:
    default = "required" if field.is_required() else f"`{_toml(field.default)}`"
    return f"| `{name}` | {default} | {field.description} |"


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else str(value)


if __name__ == "__main__":
    print(markdown(), end="")
