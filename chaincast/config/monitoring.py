"""`[monitoring]`: who may see how the deployment is, and who is told when it is not well. `[console]`: a page that
shows what it delivers."""

from __future__ import annotations

import re
from typing import Annotated, Literal, TypeAlias

from pydantic import AfterValidator, Field

from chaincast.config.section import Section


def _email(value: str) -> str:
    if not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", value):
        raise ValueError("an address is name@host.domain")
    return value


Email: TypeAlias = Annotated[str, AfterValidator(_email)]


class Monitoring(Section):
    """Health, figures, alarms."""

    auth: Literal["token", "open", "off"] = Field(
        "token",
        description="who may read `/metrics` and `/status`: `token` (who has the stack's secret `MetricsToken`), "
        "`open` (everybody), `off` (nobody: nor are there `/health`, `/lb/status`, `/docs`, which are for everybody)",
    )
    emails: tuple[Email, ...] = Field((), description="who is told of alarms; each must confirm a mail that AWS sends")
    tracing: bool = Field(False, description="whether X-Ray traces functions and HTTP requests (a price per trace)")


class Console(Section):
    """The live console."""

    enabled: bool = Field(
        False,
        description="whether the stack has the [live console](console.md), on CloudFront at its output `ConsoleUrl`; "
        "it may connect whatever `access.origins` says",
    )
