"""The base of every recipe section: frozen, and a key it does not know is an error."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A part of a recipe. Frozen; unknown keys are errors; `from` in YAML is `from_` in Python."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)
