"""The table of a lab run: a row an arm."""

from orchestrator.bugs.catalogue import APICV_BUG
from orchestrator.cli.run_table import (
    coloured,
    controls_seen,
    first_tick_class,
    interval,
    print_end,
)
from orchestrator.cli.screen import Screen
from orchestrator.cli.table import Table
from orchestrator.cli.text import Styled
from orchestrator.findings.lab import LabIdentity
from orchestrator.findings.outcome import Outcome
from orchestrator.verdict.arm import surprises
from orchestrator.verdict.run import CellResult, RunResult

_COLUMNS = (
    "kernel", "variant", "APICv", "first tick", "lost", "interval", "diagnosis", "controls",
    "verdict", "boot",
)  # fmt: skip


def print_arms(screen: Screen, run: RunResult) -> None:
    """Print a row for each arm, and what the arms prove together."""
    table = Table(_COLUMNS)
    for result in run.cells:
        if result.lab:
            table.add(*_row(result.lab, result))
    screen.table(table)
    screen.space()
    for emulator in dict.fromkeys(result.lab.emulator for result in run.cells if result.lab):
        if emulator:
            screen.prose(f"Emulator: {emulator}.")
    for result in run.cells:
        if result.lab and APICV_BUG.strikes(result.cell.mode) and surprises(
            result.lab, result.verdict
        ):  # fmt: skip
            screen.prose(
                f"NOT PROVEN: {result.lab.name} is {result.verdict}, where it must be "
                f"{result.lab.expected}: {result.why}",
                style="yellow",
            )
    for result in run.cells:
        if not result.lab or not result.lab.expected:
            name = result.lab.name if result.lab else result.cell.id
            why = result.why.rstrip(".")
            screen.prose(f"{name} is ", coloured(result.verdict), f": {why}.")
    print_end(screen, run)


def _row(lab: LabIdentity, result: CellResult) -> tuple[str | Styled, ...]:
    counts = result.counts
    modules = result.facts.kvm_modules
    counted = ", ".join(f"{name.removeprefix('losttick_')} {n}" for name, n in lab.counters.items())
    return (
        lab.version,
        lab.variant + (f" ({counted})" if counted else ""),
        modules.get("kvm_intel", {}).get("enable_apicv", "?") if counts.facts else "?",
        first_tick_class(result) or ("never" if counts.trials else "-"),
        f"{counts.outcomes[Outcome.LOST]} of {counts.trials}",
        interval(result),
        ", ".join(f"{count} {cause}" for cause, count in counts.causes.items()) or "-",
        controls_seen(result),
        coloured(result.verdict),
        f"{lab.boot_s:.0f} s" if lab.boot_s else "-",
    )
