"""What every section of the configuration is: unknown keys are refused, nothing changes after reading."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


FOLDER = "folder"
"""Key of the validation context: the folder that file names in the configuration are relative to."""
