"""The record of an attempt at a trial. Nearly all records of a journal are of this kind."""

from collections.abc import Container
from dataclasses import dataclass
from enum import StrEnum

from orchestrator.findings.cause import Diagnosis
from orchestrator.findings.outcome import FirstTick, Outcome, TrialResult, VcpuResult


class Role(StrEnum):
    """The question that a trial answers."""

    HOST = "host"
    """Does this host lose ticks?"""
    CONTROL = "control"
    """Would a loss be seen? The guest swallows its own tick."""
    SHAM = "sham"
    """Do ticks come late without a load, too? The guest is stopped and continued."""


#: The numbers of a first tick, as a line has them: periods, wall_periods, ms.
First = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class VcpuTrial:
    """The result of a vCPU other than the telling one."""

    vcpu: int
    outcome: Outcome
    first_tick: First | None = None
    missing_periods: int = 0
    why: str = ""
    ticks_after_load: int = 2
    gaps: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class TrialRecord:
    """`trial`: an attempt at a trial, with the result of the telling vCPU and of the others."""

    cell: str
    save: str
    """The tag of the save that was loaded, or of the state that a sham continued."""
    outcome: Outcome
    """The outcome, corrected by the diagnosis."""
    first_tick: First | None = None
    role: Role = Role.HOST
    number: int | None = None
    """The number of the trial in its cell and role. None if the trial plainly ticked at the
    first attempt: then it is the number after the last."""
    attempt: int = 1
    missing_periods: int = 0
    why: str = ""
    ticks_after_load: int = 2
    vcpu: int = 0
    """The telling vCPU."""
    others: tuple[VcpuTrial, ...] = ()
    stale_bytes: int = 0
    duration_ns: int | None = None
    """None where the line leaves it out."""
    diagnoses: tuple[Diagnosis, ...] = ()
    """One for each vCPU that was silent."""
    evidence: str | None = None
    """The evidence folder, within the output folder."""
    gaps: tuple[float, ...] = ()
    """Times between ticks of the telling vCPU that came when they were due, in periods, if the
    ticks were plain. A cell has those of its first trials, and of shams before any load."""
    pair: int | None = None
    """The number of the pair of a load and a sham; None if the load is in no pair."""
    unrestored: str = ""
    """The grounds on which the load of a control restored no timer, or lost its interrupt."""
    next_save: bool = False
    """True if ticks went on after the loads of the save, and the next save came to nothing."""

    @property
    def vcpus(self) -> "tuple[TrialRecord | VcpuTrial, ...]":
        """The result of each vCPU, in the order of their numbers."""
        return tuple(sorted((self, *self.others), key=lambda part: part.vcpu))

    @property
    def diagnosis(self) -> Diagnosis | None:
        """The diagnosis of the telling vCPU; None if it was not silent."""
        return next((found for found in self.diagnoses if found.vcpu == self.vcpu), None)


def trial_record(
    cell: str,
    role: Role,
    number: int,
    attempt: int,
    save: str,
    result: TrialResult,
    diagnoses: tuple[Diagnosis, ...] = (),
    evidence: str | None = None,
    pair: int | None = None,
    gaps_of: Container[int] = (),
    *,
    next_save: bool = False,
    unrestored: str = "",
) -> TrialRecord:
    """Return the record of an attempt at a trial.

    The record of a trial that plainly ticked at the first attempt leaves out its number and
    its duration. Times of first ticks are rounded to what they can mean. Of times between ticks
    it has those of the vCPUs `gaps_of`.
    """
    told = result.told
    plainly = role is not Role.CONTROL and attempt == 1 and told.outcome.ticked
    return TrialRecord(
        cell=cell,
        save=save,
        outcome=told.outcome,
        first_tick=_rounded(told.first_tick),
        role=role,
        number=None if plainly else number,
        attempt=attempt,
        missing_periods=told.missing_periods,
        why=told.why,
        ticks_after_load=told.ticks_after_load,
        vcpu=told.vcpu,
        others=tuple(_other(part, gaps_of) for part in result.vcpus if part is not told),
        stale_bytes=result.stale_bytes,
        duration_ns=None if plainly else result.duration_ns,
        diagnoses=diagnoses,
        evidence=evidence,
        pair=pair,
        gaps=_gaps(told, gaps_of),
        next_save=next_save,
        unrestored=unrestored,
    )


def _other(part: VcpuResult, gaps_of: Container[int]) -> VcpuTrial:
    return VcpuTrial(
        part.vcpu, part.outcome, _rounded(part.first_tick), part.missing_periods, part.why,
        part.ticks_after_load, _gaps(part, gaps_of),
    )  # fmt: skip


def _gaps(part: VcpuResult, gaps_of: Container[int]) -> tuple[float, ...]:
    return part.gaps if part.outcome.ticked and part.vcpu in gaps_of else ()


def _rounded(first: FirstTick | None) -> First | None:
    if first is None:
        return None
    return round(first.periods, 4), round(first.wall_periods, 4), round(first.ms, 3)
