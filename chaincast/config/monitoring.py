"""`[monitoring]`: access to status and metrics, and alarms. `[console]`: the live console."""

from __future__ import annotations

import re
from typing import Annotated, Literal, TypeAlias

from pydantic import AfterValidator, Field

from chaincast.config.section import Section


def _email(value: str) -> str:
    if not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", value):
        raise ValueError("not an e-mail address: write name@host.domain")
    return value


Email: TypeAlias = Annotated[str, AfterValidator(_email)]


class Monitoring(Section):
    """Access to status and metrics, recipients of alarms, and tracing."""

    auth: Literal["token", "open", "off"] = Field(
        "token",
        description="access to `/metrics` and `/status`: `token` (requests with the stack's secret `MetricsToken`), "
        "`open` (all requests), `off` (these routes and `/health`, `/lb/status` and `/docs` do not exist)",
    )
    emails: tuple[Email, ...] = Field(
        (), description="addresses that alarms are sent to; AWS first sends each a mail to confirm"
    )
    tracing: bool = Field(False, description="trace functions and HTTP requests with X-Ray, which charges per trace")


class Console(Section):
    """The live console."""

    enabled: bool = Field(
        False,
        description="deploy the [live console](console.md) on CloudFront (output `ConsoleUrl`); it may connect even "
        "if `access.origins` does not list it",
    )
