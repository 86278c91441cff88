"""Tables of a plan file: an unknown setting is an error."""

from pydantic import BaseModel, ConfigDict


class Strict(BaseModel):
    """A table whose settings are all known, and that does not change once it is read."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)
