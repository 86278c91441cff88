"""A pause around a load: a length of time, in periods of the guest's timer or in seconds."""

import re
from dataclasses import dataclass
from typing import Any

from pydantic import GetJsonSchemaHandler
from pydantic_core import CoreSchema

from orchestrator.plan.number import positional
from orchestrator.plan.parsed import Parsed

#: Longest pause in seconds. A period has at most 4.3 s.
LONGEST_S = 3600.0

#: Longest pause in periods.
LONGEST_PERIODS = 100_000.0

#: Digits of a pause in an id, unless it has more.
_DIGITS = 10

_TEXT = r"(\d+(?:\.\d+)?) ?(periods?|s|ms)"


@dataclass(frozen=True, slots=True)
class Pause(Parsed):
    """How long to wait before a load, or between a load and `cont`.

    In a plan, a number and its unit: `"3 periods"`, `"10 s"` or `"500 ms"`. The number 0 is no
    pause.
    """

    periods: float = 0.0
    seconds: float = 0.0

    @classmethod
    def parse(cls, value: object) -> "Pause":
        """Read a pause from a plan or the command line.

        Raises:
            ValueError: the value is not a pause.
        """
        if isinstance(value, cls):
            return value
        text = str(value).strip()
        if text == "0":
            return NO_PAUSE
        found = re.fullmatch(_TEXT, text)
        if found is None:
            raise ValueError('a pause is "N periods", "N s", "N ms" or 0')
        number, unit = float(found[1]), found[2]
        if unit.startswith("period"):
            pause = cls(periods=number)
        else:
            pause = cls(seconds=number / 1000 if unit == "ms" else number)
        if pause.periods > LONGEST_PERIODS or pause.seconds > LONGEST_S:
            raise ValueError(
                f"a pause has at most {LONGEST_S:g} s or {LONGEST_PERIODS:.0f} periods"
            )
        return pause

    def ns(self, period_ns: int) -> int:
        """Return its length in nanoseconds.

        Args:
            period_ns: the period of the guest's timer.
        """
        return round(self.periods * period_ns + self.seconds * 1e9)

    def __bool__(self) -> bool:
        return self != NO_PAUSE

    def __str__(self) -> str:
        if self.periods:
            return f"{positional(self.periods, _DIGITS)}periods"
        return f"{positional(self.seconds, _DIGITS)}s" if self.seconds else "0"

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {"anyOf": [{"const": 0}, {"type": "string", "pattern": f"^(0|{_TEXT})$"}]}


NO_PAUSE = Pause()
