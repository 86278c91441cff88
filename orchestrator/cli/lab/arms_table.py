"""The table of a lab run: one row for each arm."""

from orchestrator.cli.lab_kernels import print_kernels
from orchestrator.cli.live import PartTimes
from orchestrator.cli.run_table import coloured, print_end, print_words
from orchestrator.cli.screen import Screen
from orchestrator.cli.table import Table
from orchestrator.cli.text import Styled, duration
from orchestrator.findings.lab import LabIdentity
from orchestrator.findings.outcome import Outcome
from orchestrator.guest.config import DEFAULT_TIMER
from orchestrator.guest.saved_state import SavedState
from orchestrator.guest.wait import Wait
from orchestrator.plan.cell import Cell
from orchestrator.results.columns import controls_seen, first_tick, interval, went_wrong
from orchestrator.snapshot.method import Method, Resume
from orchestrator.verdict.run import CellResult, RunResult
from orchestrator.verdict.verdict import Verdict

_COLUMNS = ("arm", "first tick", "lost", "interval", "diagnosis", "controls", "verdict")


def print_arms(screen: Screen, run: RunResult, times: PartTimes | None = None) -> None:
    """Print a row for each arm, and what the arms prove together.

    Args:
        screen: where to.
        run: the result.
        times: how long the parts of the run took; None if nobody has measured it.
    """
    table = Table(_COLUMNS)
    for result in run.cells:
        if result.lab:
            table.add(*_row(result.lab, result))
    screen.table(table)
    screen.space()
    labs = [result.lab for result in run.cells if result.lab]
    booted_s = [lab.boot_s for lab in labs if lab.boot_s]
    print_kernels(
        screen,
        [(r.lab, r.facts if r.counts.facts else None) for r in run.cells if r.lab],
    )
    for emulator in dict.fromkeys(lab.emulator for lab in labs if lab.emulator):
        screen.prose(f"Emulator: {emulator}.")
    if booted_s:
        span = dict.fromkeys(f"{seconds:.0f}" for seconds in (min(booted_s), max(booted_s)))
        screen.prose(f"Booted in {' to '.join(span)} s.")
    if times and times.cells_s:
        took = [
            f"{_name(result)} {duration(times.cells_s[result.cell.id])}"
            for result in run.cells
            if result.cell.id in times.cells_s
        ]
        screen.prose(f"Took {duration(times.before_s)} to begin; {', '.join(took)}.")
    for result in run.cells:
        if result.lab and result.expected not in (None, result.verdict):
            screen.prose(
                f"NOT PROVEN: {_name(result)} is {result.verdict}, where it must be "
                f"{result.expected}: {result.why}",
                style="yellow",
            )
    for result in run.cells:
        as_it_must = result.verdict == result.expected and result.verdict is not Verdict.CLEAN
        if result.expected is None or as_it_must:
            why = result.why.rstrip(".")
            screen.prose(
                f"{_name(result)} ({_apicv(result)}) is ", coloured(result.verdict), f": {why}."
            )
    print_words(screen, run.cells)
    print_end(screen, run)


def _apicv(result: CellResult) -> str:
    """Return kvm_intel's parameter as it was while the cell was counted."""
    modules = result.facts.kvm_modules if result.counts.facts else {}
    return f"enable_apicv={modules.get('kvm_intel', {}).get('enable_apicv', 'unknown')}"


def _name(result: CellResult) -> str:
    """Return the arm of a cell, with the settings in which it differs from the arm's others."""
    return result.lab.name + _settings(result.cell) if result.lab else result.cell.id


def _settings(cell: Cell) -> str:
    """Return the settings in which cells of one arm can differ, as far as they are not usual."""
    usual = {
        "mode": DEFAULT_TIMER, "method": Method.HMP, "wait": Wait.BUSY,
        "state": SavedState.ARMED, "resume": Resume.CONT,
    }  # fmt: skip
    found = [(name, getattr(cell, name)) for name in usual]
    return "".join(f" {name}={value}" for name, value in found if value != usual[name])


def _row(lab: LabIdentity, result: CellResult) -> tuple[str | Styled, ...]:
    counts = result.counts
    counted = ", ".join(f"{name.removeprefix('losttick_')} {n}" for name, n in lab.counters.items())
    return (
        _name(result) + (f" ({counted})" if counted else ""),
        first_tick(result),
        f"{counts.outcomes[Outcome.LOST]} of {counts.trials}{went_wrong(result)}",
        interval(result),
        ", ".join(f"{count} {cause}" for cause, count in counts.causes.items()) or "-",
        controls_seen(result),
        coloured(result.verdict),
    )
