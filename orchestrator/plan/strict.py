"""The base of all tables of a plan file."""

from pydantic import BaseModel, ConfigDict


class Strict(BaseModel):
    """An immutable table in which an unknown setting is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)
