"""The table of `--by-phase`: outcomes by the phase of the save."""

from orchestrator.cli.screen import Screen
from orchestrator.cli.table import Table
from orchestrator.results.summary import spread
from orchestrator.verdict.run import RunResult


def print_phases(screen: Screen, run: RunResult) -> None:
    """Print a row for each tenth of the period in which a cell was saved."""
    table = Table(
        ("cell", "phase of the save", "saves", "loads", "outcomes", "first tick"),
        right=frozenset({"saves", "loads"}),
    )
    for result in run.cells:
        for found in result.counts.phases.bins:
            first = spread(found.first_tick_periods)
            table.add(
                result.cell.id,
                f"{found.low:g} to {found.high:g}" + (", expired" if found.expired else ""),
                str(found.saves),
                str(found.trials),
                ", ".join(f"{count} {what}" for what, count in found.outcomes.most_common()),
                f"{first['median']:.2f} periods" if first else "-",
            )
    screen.space()
    screen.table(table)
