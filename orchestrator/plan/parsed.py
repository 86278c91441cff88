"""Plan values that are read from a text by a `parse` of their own."""

from abc import ABC, abstractmethod
from typing import Any, Self

from pydantic_core import CoreSchema, core_schema


class Parsed(ABC):
    """A value that a plan file writes as a text or a number, and `str` writes again."""

    __slots__ = ()

    @classmethod
    @abstractmethod
    def parse(cls, value: object) -> Self:
        """Read the value from a plan or the command line.

        Raises:
            ValueError: it is not such a value.
        """

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            cls.parse, serialization=core_schema.to_string_ser_schema()
        )
