"""The table of `--by-phase`: outcomes by the phase of the save."""

from orchestrator.campaign.run import RunResult
from orchestrator.cli.screen import Screen
from orchestrator.cli.table import Table
from orchestrator.journal.file import read_journal
from orchestrator.results.phases import by_phase
from orchestrator.results.summary import spread


def print_phases(screen: Screen, run: RunResult) -> None:
    """Print a row for each tenth of the period in which a cell was saved."""
    table = Table(
        ("cell", "phase of the save", "saves", "loads", "outcomes", "first tick"),
        right=frozenset({"saves", "loads"}),
    )
    for cell, bins in by_phase(read_journal(run.journal)).items():
        for found in bins:
            first = spread(found.first_tick_periods)
            table.add(
                cell,
                f"{found.low:g} to {found.high:g}" + (", expired" if found.expired else ""),
                str(found.saves),
                str(found.trials),
                ", ".join(f"{count} {what}" for what, count in found.outcomes.most_common()),
                f"{first['median']:.2f} periods" if first else "-",
            )
    screen.space()
    screen.table(table)
