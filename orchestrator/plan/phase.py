"""The phase of a save: where in the timer period it is taken."""

import random
import re
from dataclasses import dataclass
from typing import Any

from pydantic import GetJsonSchemaHandler
from pydantic_core import CoreSchema

from orchestrator.plan.number import number, positional
from orchestrator.plan.parsed import Parsed

#: Range of `random`: the middle of the period, where timing can tell every class of first
#: tick from every other.
_MIDDLE = (0.40, 0.60)

#: Phases that are accepted for `random` on a host that is too busy for the middle.
_WIDE = (0.1, 0.9)

#: Tolerance of a drawn phase, as a fraction of the period.
_SLACK = 0.05

#: Tolerance of a single point, as a fraction of the period. It is wider because stopping a
#: guest takes a tenth of a millisecond or more.
_AIM = 0.1

#: Digits of a phase in an id, unless it has more.
_DIGITS = 6

_RANGE = re.compile(r"(0(?:\.\d+)?)-(0(?:\.\d+)?|1(?:\.0+)?)")

#: The words and ranges that a plan may contain, for the JSON Schema.
_PATTERN = r"^(random|expired|0(\.\d+)?-(0(\.\d+)?|1(\.0+)?))$"


@dataclass(frozen=True, slots=True)
class Phase(Parsed):
    """A point or a range of the timer period, from 0 to 1.

    In a plan, `random` draws the phase of each save from the middle of the period,
    `"0.1-0.9"` draws it from that range, and `0.25` is a fixed point. `expired` stops the
    guest as `random` does, and saves it after its timer has run out while it was stopped.
    """

    low: float
    high: float
    expired: bool = False

    @classmethod
    def parse(cls, value: object) -> "Phase":
        """Read a phase from a plan or the command line.

        Raises:
            ValueError: the value is not a phase.
        """
        if isinstance(value, cls):
            return value
        text = str(value).strip()
        if text == "random":
            return RANDOM
        if text == "expired":
            return EXPIRED
        if found := _RANGE.fullmatch(text):
            low, high = float(found[1]), float(found[2])
            if low < high:
                return cls(low, high)
        else:
            try:
                point = float(text)
            except ValueError:
                point = -1.0
            if 0 <= point <= 1 and not isinstance(value, bool):
                point = abs(point)  # -0.0 is 0.0
                return cls(point, point)
        raise ValueError('a phase is a number from 0 to 1, "LOW-HIGH", "random" or "expired"')

    def draw(self, rng: random.Random) -> float:
        """Return the phase at which to stop the guest."""
        return self.low if self.low == self.high else rng.uniform(self.low, self.high)

    @property
    def within(self) -> tuple[float, float]:
        """The range in which the phase of a save must lie to be accepted."""
        slack = _AIM if self.low == self.high else _SLACK
        return max(0.0, self.low - slack), min(1.0, self.high + slack)

    @property
    def wide(self) -> tuple[float, float] | None:
        """Phases that are accepted after some misses; None if the range was asked for.

        Only `random` has such a range. The further a phase is from the middle of the period,
        the more first ticks are `indistinct`; a loss is as plain as in the middle.
        """
        return _WIDE if self == RANDOM else None

    def __str__(self) -> str:
        if self.expired:
            return "expired"
        if self == RANDOM:
            return "random"
        if self.low == self.high:
            return number(self.low, _DIGITS)
        return f"{positional(self.low, _DIGITS)}-{positional(self.high, _DIGITS)}"

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {
            "anyOf": [
                {"type": "number", "minimum": 0, "maximum": 1},
                {"type": "string", "pattern": _PATTERN},
            ]
        }


RANDOM = Phase(*_MIDDLE)
EXPIRED = Phase(*_MIDDLE, expired=True)
