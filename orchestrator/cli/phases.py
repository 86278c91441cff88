"""What a person sees of a run's outcomes by phase."""

from rich.console import Console
from rich.table import Table

from orchestrator.campaign.run import RunResult
from orchestrator.journal.file import read_journal
from orchestrator.results.phases import by_phase
from orchestrator.results.summary import spread


def print_phases(run: RunResult) -> None:
    """Print a row for each part of the period in which a cell was saved."""
    console = Console()
    if not console.is_terminal:
        console.width = 140
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("cell", "phase of the save", "saves", "loads", "outcomes", "first tick"):
        table.add_column(column, overflow="fold")
    for cell, bins in by_phase(read_journal(run.journal)).items():
        for found in bins:
            first = spread(found.first_tick_periods)
            table.add_row(
                cell,
                f"{found.low:g} to {found.high:g}" + (", expired" if found.expired else ""),
                str(found.saves),
                str(found.trials),
                ", ".join(f"{count} {what}" for what, count in found.outcomes.most_common()),
                f"{first['median']:.2f} periods" if first else "-",
            )
    console.print()
    console.print(table, highlight=False)
