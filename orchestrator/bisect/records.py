"""The records of a bisection's log."""

from typing import Annotated

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from orchestrator.bisect.rules import Find
from orchestrator.bisect.steps import Phase
from orchestrator.bisect.tester import Stage
from orchestrator.journal.record_log import Kinds

#: Number of the log's format. A reader refuses any other.
FORMAT = 1

_STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

_Count = Annotated[int, Field(ge=0, le=10**9)]
_Seconds = Annotated[float, Field(ge=0)]
_Rate = Annotated[float, Field(gt=0, lt=1)]


@dataclass(frozen=True, config=_STRICT)
class Begun:
    """The first record: the question, and all candidates."""

    find: Find
    min_rate: _Rate
    confidence: _Rate
    candidates: tuple[tuple[str, str, str | None], ...]
    """Name, summary and commit of each candidate."""
    parents: tuple[tuple[_Count, ...], ...]
    settings: dict[str, str]
    """Whatever the results depend on, by the tester."""
    parent_rate: _Rate | None = None
    format: Annotated[int, Field(ge=FORMAT, le=FORMAT)] = FORMAT


@dataclass(frozen=True, config=_STRICT)
class BootRecord:
    """Loads of one boot."""

    candidate: _Count
    phase: Phase
    wanted: Annotated[int, Field(ge=1, le=10**9)]
    """The highest number of loads that was asked for."""
    loads: Annotated[int, Field(ge=1, le=10**9)]
    losses: _Count
    seconds: _Seconds
    evidence: str
    signature: str = ""


@dataclass(frozen=True, config=_STRICT)
class UntestableRecord:
    """A candidate about which nothing was learnt."""

    candidate: _Count
    phase: Phase
    stage: Stage
    why: str
    seconds: _Seconds


@dataclass(frozen=True, config=_STRICT)
class SameRecord:
    """A candidate whose kernel was tested before, as another candidate's."""

    candidate: _Count
    phase: Phase
    signature: Annotated[str, Field(min_length=1)]
    seconds: _Seconds


@dataclass(frozen=True, config=_STRICT)
class AskedRecord:
    """A further request, made when a bisection was resumed."""

    parent_rate: _Rate
    """The loss rate that the clean neighbour of the culprit is to rule out."""


Record = Begun | BootRecord | UntestableRecord | SameRecord | AskedRecord

KINDS = Kinds(
    "a bisection",
    {
        "begun": Begun,
        "test": BootRecord,
        "untestable": UntestableRecord,
        "same": SameRecord,
        "asked": AskedRecord,
    },
)
