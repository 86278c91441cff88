"""Prints the result of a run."""

from orchestrator.cli.phases import print_phases
from orchestrator.cli.run_table import print_run
from orchestrator.cli.screen import Screen
from orchestrator.cli.text import print_json
from orchestrator.results.summary import summary
from orchestrator.verdict.run import RunResult


def print_result(result: RunResult, screen: Screen, *, by_phase: bool, as_json: bool) -> None:
    """Print a run: its table, or one JSON object."""
    if as_json:
        print_json(summary(result))
        return
    print_run(screen, result)
    if by_phase:
        print_phases(screen, result)
