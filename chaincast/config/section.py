"""The base class of the configuration's sections."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A table of `chaincast.toml`. Unknown keys are refused, and values do not change after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


FOLDER = "folder"
"""Key of the validation context: the folder that file names in the configuration are relative to."""
