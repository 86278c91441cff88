"""Settings whose values are the names of a registry's entries."""

from typing import Any

from pydantic import GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

from orchestrator.registry import Named, Registry, UnknownNameError


class NameIn:
    """The name of an entry; the JSON Schema lists the entries that there are."""

    def __init__(self, registry: "Registry[Any]") -> None:
        self._registry = registry

    def _check(self, value: object) -> str:
        if not isinstance(value, str):
            raise UnknownNameError(self._registry.kind, value, self._registry.names)
        entry: Named = self._registry[value]
        return entry.name

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self._check)

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {"enum": self._registry.names, "type": "string"}
