"""The arms of a comparison: runs, in the form that a comparison needs."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.errors import InputError
from orchestrator.findings.lab import LabIdentity
from orchestrator.findings.outcome import Outcome
from orchestrator.host.facts import HostFacts
from orchestrator.journal.save_ticks import SaveTicks
from orchestrator.results.direct import is_direct
from orchestrator.results.result import read_result
from orchestrator.stats.rate import Losses
from orchestrator.verdict.observer import MAX_UNKNOWN
from orchestrator.verdict.run import CellResult, RunResult

#: Outcomes of loads that show nothing about the loss of a tick, and are no loss themselves.
_TELL_NOTHING = (Outcome.CRASHED, Outcome.NOT_LOADED, Outcome.RECOVERED)


class NoArmError(InputError):
    """Something can't be compared."""


@dataclass(frozen=True, slots=True)
class ArmCell:
    """A cell of a run, as it is compared."""

    id: str
    like: str
    """The id without the names of lab and QEMU: two cells that may be compared have the same."""
    losses: Losses
    """The counts, with the losses of each save."""
    rule_out: float
    """The loss rate that the plan wants ruled out."""
    outcomes: Counter[Outcome] = field(default_factory=Counter)
    ticks: SaveTicks = field(default_factory=SaveTicks)
    period_ns: int | None = None
    """The timer period, as it was measured if the plan left it open."""
    facts: Mapping[str, str] = field(default_factory=dict)
    """The identity of the host, by names for a person."""
    blind: str = ""
    """Why the run might have missed losses; empty if it would have seen them."""

    @property
    def saves(self) -> Sequence[tuple[int, int]]:
        """The loads with a known outcome and the losses of each save that has such loads."""
        by_save = self.losses.by_save
        pairs = zip(by_save.loads, by_save.lost, strict=True)
        return [(loads, lost) for loads, lost in pairs if loads]


@dataclass(frozen=True, slots=True)
class Arm:
    """A run, as it is compared."""

    name: str
    cells: tuple[ArmCell, ...]
    """Cells with trials."""
    untested: Mapping[str, str] = field(default_factory=dict)
    """Why the other cells have no trials, by what would have to be equal."""
    began_at: str = ""
    ended_at: str = ""
    unfinished: str = ""
    """Why the run has not ended; empty if it has."""


def read_arm(folder: Path, name: str) -> Arm:
    """Return the run in a folder, to be compared.

    Raises:
        NoArmError: the folder has a direct test.
        NoResultError: there is no journal.
        JournalFormatError: the journal can't be understood.
    """
    if is_direct(folder):
        raise NoArmError(
            f"comparing {folder}: it has a direct test, and only runs that load snapshots are "
            "compared. Name the output folder of a `losttick run`."
        )
    return arm_of(read_result(folder), name)


def arm_of(run: RunResult, name: str) -> Arm:
    """Return a run, to be compared."""
    tested = [each for each in run.cells if each.counts.trials]
    return Arm(
        name=name,
        cells=tuple(_cell(each, run) for each in tested),
        untested={
            each.cell.like: f"{each.cell.id}: {each.why.rstrip('.')}"
            for each in run.cells
            if not each.counts.trials
        },
        began_at=run.began_at,
        ended_at=run.ended_at,
        unfinished=run.interrupted or "",
    )


def _cell(result: CellResult, run: RunResult) -> ArmCell:
    counts = result.counts
    return ArmCell(
        id=result.cell.id,
        like=result.cell.like,
        losses=result.losses,
        rule_out=result.rule_out,
        outcomes=counts.outcomes,
        ticks=counts.save_ticks,
        period_ns=counts.period_ns,
        facts=identity(result.facts, result.lab, image=counts.image, losttick=run.losttick),
        blind=_blind(result),
    )


def identity(
    facts: HostFacts, lab: LabIdentity | None, *, image: str = "", losttick: str = ""
) -> dict[str, str]:
    """Return what the numbers of a cell depend on, by names for a person."""
    modules = (
        f"{module}.{name}={value}"
        for module, parameters in sorted(facts.kvm_modules.items())
        for name, value in sorted(parameters.items())
    )
    found = {
        "kernel": facts.kernel,
        "kernel build": facts.kernel_build,
        "KVM modules": f"{lab.variant}{'' if lab.apicv else ', no APICv'}" if lab else "",
        "KVM parameters": " ".join(modules),
        "CPU": facts.cpu,
        "microcode": facts.microcode or "",
        "QEMU": f"{facts.qemu.version} ({facts.qemu.sha256[:12]})" if facts.qemu else "",
        "emulator": lab.emulator if lab else "",
        "guest image": image[:12],
        "losttick": losttick,
    }
    return {name: value for name, value in found.items() if value}


def _blind(result: CellResult) -> str:
    """Return why losses may have been missed in a cell."""
    counts = result.counts
    seen = sum(control.seen for control in counts.controls)
    if not counts.controls_begun:
        return "it had no control"
    if seen < counts.controls_begun:
        return f"only {seen} of its {counts.controls_begun} controls were seen"
    if counts.unknown_attempts > MAX_UNKNOWN * counts.attempts:
        return f"{counts.unknown_attempts} of its {counts.attempts} attempts ended unknown"
    for outcome in _TELL_NOTHING:
        if counts.outcomes[outcome] > MAX_UNKNOWN * counts.trials:
            return f"{counts.outcomes[outcome]} of its {counts.trials} loads ended {outcome}"
    return ""
