"""The timer period in a plan: milliseconds, or `auto`."""

import math
from typing import Annotated, Any, Literal

from pydantic import GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

from orchestrator.guest.config import MAX_PERIOD_NS, MIN_PERIOD_NS

#: In a plan: measure the host before the trials, and use the shortest period that works well.
AUTO: Literal["auto"] = "auto"

#: Periods that `auto` chooses from, the shortest first.
AUTO_PERIODS_NS = (5_000_000, 10_000_000, 20_000_000, 50_000_000, 100_000_000)

#: The same for each vCPU on a host whose guests take some 10 ms to print a line, such as a lab.
SLOW_PERIODS_NS = (60_000_000, 100_000_000, 200_000_000, 400_000_000)

_LOW_MS, _HIGH_MS = MIN_PERIOD_NS / 1e6, MAX_PERIOD_NS / 1e6


class _PeriodMs:
    """Accepts a number of milliseconds or `auto`, here and in the JSON Schema."""

    def _check(self, value: object) -> float | str:
        if value == AUTO:
            return AUTO
        try:
            period_ms = float(str(value))
        except ValueError:
            period_ms = math.nan
        if isinstance(value, bool) or not _LOW_MS <= period_ms <= _HIGH_MS:
            raise ValueError(
                f"a period is {AUTO}, or a number of milliseconds from {_LOW_MS:g} to {_HIGH_MS:g}"
            )
        return value if isinstance(value, int | float) else period_ms

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self._check)

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        number = {"type": "number", "minimum": _LOW_MS, "maximum": _HIGH_MS}
        return {"anyOf": [number, {"const": AUTO}]}


#: One period of a plan.
PeriodMs = Annotated[float | Literal["auto"], _PeriodMs()]


def period_ns(period_ms: float | str) -> int | None:
    """Return a period of a plan in nanoseconds; None for `auto`."""
    return None if isinstance(period_ms, str) else round(period_ms * 1e6)
