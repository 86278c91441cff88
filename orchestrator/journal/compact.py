"""What the line of a plain trial leaves out: a nightly journal has a million of them.

A trial that ticked on as it should has a line without what is the same in all of these,
and its numbers rounded to what they can mean. `restore` puts back what was left out.
"""

from typing import Any

#: What a trial is unless its line says otherwise.
_USUAL: dict[str, Any] = {
    "arm": "host",
    "attempt": 1,
    "missing_periods": 0,
    "why": "",
    "ticks_after_load": 2,
    "stale_bytes": 0,
    "vcpu": 0,
    "vcpus": [],
}


#: What a vCPU's part in a trial is, too.
_USUAL_OF_VCPU = {
    name: _USUAL[name] for name in _USUAL.keys() - {"arm", "attempt", "stale_bytes", "vcpus"}
}


#: The names of the numbers of `first_tick`, in the order of its list, and their digits.
_FIRST_TICK = {"periods": 4, "wall_periods": 4, "ms": 3}


#: Outcomes whose line may be short.
_PLAIN = frozenset({"immediate", "full-period", "remaining", "indistinct"})


def shorten(trial: dict[str, Any]) -> dict[str, Any]:
    """Return a trial's fields as its line has them."""
    short = {k: v for k, v in trial.items() if k not in _USUAL or _USUAL[k] != v}
    if first := short.get("first_tick"):
        short["first_tick"] = [round(first[name], to) for name, to in _FIRST_TICK.items()]
    if vcpus := short.get("vcpus"):
        short["vcpus"] = [shorten(vcpu) for vcpu in vcpus]
    if trial.get("outcome") in _PLAIN and {"arm", "attempt"}.isdisjoint(short):
        short.pop("number", None)
        short.pop("duration_ns", None)
    return short


class Restorer:
    """Puts back what the lines of trials leave out."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def forget(self, cell: str) -> None:
        """Begin to number the trials of a cell from 1 again."""
        self._numbers.pop(cell, None)

    def restore(self, record: dict[str, Any]) -> dict[str, Any]:
        """Return a trial's record in full; `duration_ns` is left out where its line has none.

        A line without a number is of the trial after that cell's last.
        """
        whole = _USUAL | record
        first = whole.get("first_tick")
        if type(first) is list:
            whole["first_tick"] = _named(*first)
        if whole["vcpus"]:
            whole["vcpus"] = [_restored(vcpu) for vcpu in whole["vcpus"]]
        if whole["arm"] == "host":
            cell = whole["cell"]
            number = self._numbers[cell] = whole.get("number") or self._numbers.get(cell, 0) + 1
            whole["number"] = number
        return whole


def _restored(vcpu: dict[str, Any]) -> dict[str, Any]:
    """Return one vCPU's part in a trial with what its line leaves out."""
    first = vcpu.get("first_tick")
    return _USUAL_OF_VCPU | vcpu | {"first_tick": _named(*first) if first else None}


def _named(periods: float, wall_periods: float, ms: float) -> dict[str, float]:
    """Return the numbers of a first tick with their names, which are those of `_FIRST_TICK`."""
    return {"periods": periods, "wall_periods": wall_periods, "ms": ms}
