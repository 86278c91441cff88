"""A tick, and when its line arrived."""

from dataclasses import dataclass

from orchestrator.guest.lines import Tick


@dataclass(frozen=True, slots=True)
class Arrival:
    """A tick that was heard."""

    tick: Tick
    at_ns: int
    """When the line arrived, by the host's clock."""
