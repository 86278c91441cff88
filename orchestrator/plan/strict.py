"""The base of all tables of a plan file."""

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, BeforeValidator, ConfigDict


class Strict(BaseModel):
    """An immutable table in which an unknown setting is an error."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False
    )


def _whole(value: Any) -> Any:
    """Return a number such as 1e6 as an integer: TOML has only floats in that form."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


#: Comes last in the annotation of an integer, so that it may be written as 1e6.
WHOLE = BeforeValidator(_whole)


class PlacedError(ValueError):
    """Faults that a check of several settings found, each with its place below the checked one."""

    def __init__(self, faults: Sequence[tuple[tuple[str | int, ...], str]]) -> None:
        """Keep the faults: the names and indices that lead to each, and a sentence."""
        self.faults = tuple(faults)
        super().__init__("; ".join(words for _, words in faults))
