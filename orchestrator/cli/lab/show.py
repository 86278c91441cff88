"""What a person sees of a lab: its tools being made, and a row an arm."""

import asyncio
from collections.abc import Sequence
from typing import Any

from orchestrator.campaign.run import CellResult, RunResult
from orchestrator.cli.live import Show
from orchestrator.cli.run_table import coloured, controls_seen, first_tick_class, interval
from orchestrator.cli.screen import Screen
from orchestrator.cli.table import Table
from orchestrator.cli.text import Styled
from orchestrator.findings.outcome import Outcome
from orchestrator.lab.arms import Arm, surprises
from orchestrator.lab.emulator.bochs import Bochs, bochs, debian_bochs
from orchestrator.lab.emulator.build import NoBuildToolsError

_COLUMNS = (
    "kernel", "variant", "APICv", "first tick", "lost", "interval", "diagnosis", "controls",
    "verdict", "boot",
)  # fmt: skip


async def emulator(show: Show) -> Bochs:
    """Return the emulator: built, with a bar, or Debian's own where it can't be built.

    Raises:
        UnfitError: neither can be had.
    """
    with show.bar("building Bochs from Debian's source, once: about two minutes") as progress:
        try:
            return await bochs(progress)
        except NoBuildToolsError as error:
            show.say(f"{error} Debian's own Bochs is used instead, with realigned modules.")
            return await asyncio.to_thread(debian_bochs)


def print_arms(screen: Screen, run: RunResult, arms: Sequence[Arm], bochs_used: Bochs) -> None:
    """Print a row for each arm, and what the arms prove together."""
    table = Table(_COLUMNS)
    for arm, result in zip(arms, run.cells, strict=True):
        table.add(*_row(arm, result))
    screen.table(table)
    screen.space()
    screen.prose(f"Emulator: {bochs_used.origin}.")
    choices = [arm.choice for arm in arms]
    for surprise in surprises(choices, run.cells):
        screen.prose(f"NOT PROVEN: {surprise}", style="yellow")
    for choice, result in zip(choices, run.cells, strict=True):
        if not choice.known:
            why = result.why.rstrip(".")
            screen.prose(f"{choice.name} is ", coloured(result.verdict), f": {why}.")
    screen.line(f"journal: {run.journal}")


def _row(arm: Arm, result: CellResult) -> tuple[str | Styled, ...]:
    choice, campaign = arm.choice, result.campaign
    modules: dict[str, Any] = result.facts.kvm_modules
    counted = ", ".join(f"{name.removeprefix('losttick_')} {n}" for name, n in arm.counters.items())
    return (
        choice.kernel.version,
        choice.variant + (f" ({counted})" if counted else ""),
        modules.get("kvm_intel", {}).get("enable_apicv", "?") if result.cell.host else "?",
        first_tick_class(result) or ("never" if campaign.outcomes.total() else "-"),
        f"{campaign.outcomes[Outcome.LOST]} of {campaign.outcomes.total()}",
        interval(result),
        ", ".join(f"{count} {cause}" for cause, count in campaign.causes.items()) or "-",
        controls_seen(result),
        coloured(result.verdict),
        f"{arm.boot_s:.0f} s" if arm.boot_s else "-",
    )
