"""Prints the result of a run, and ends the command."""

from dataclasses import asdict
from pathlib import Path

from orchestrator.cli.exits import ExitCode
from orchestrator.cli.history.keep import Keeper, say_changes
from orchestrator.cli.phases import print_phases
from orchestrator.cli.reports import Reports
from orchestrator.cli.run_table import print_run
from orchestrator.cli.screen import Screen
from orchestrator.cli.text import print_json
from orchestrator.process.background import in_thread
from orchestrator.results.summary import summary
from orchestrator.verdict.run import RunResult


async def end_run(
    keeper: Keeper,
    result: RunResult,
    folder: Path,
    reports: Reports,
    all_reports: Reports | None = None,
    *,
    by_phase: bool,
    as_json: bool,
) -> ExitCode:
    """Add a run to the history, print it and write its reports; return the exit code.

    Args:
        keeper: what becomes of it in the history.
        result: of the run.
        folder: of the run.
        reports: the outputs that are still to be written.
        all_reports: all outputs of the command, if some were written while the run went on.
        by_phase: whether to print outcomes by the phase of the save.
        as_json: whether to print one JSON object.
    """
    screen = (all_reports or reports).screen()
    sentences = await in_thread(keeper.add, folder)
    if not as_json:
        say_changes(screen, sentences)
    if as_json and keeper.changes is not None:
        print_json(summary(result) | {"changes": asdict(keeper.changes)})
    else:
        print_result(result, screen, by_phase=by_phase, as_json=as_json)
    return await in_thread(reports.write_at_end, folder, keeper.exit(result.ends), sentences)


def print_result(result: RunResult, screen: Screen, *, by_phase: bool, as_json: bool) -> None:
    """Print a run: its table, or one JSON object."""
    if as_json:
        print_json(summary(result))
        return
    print_run(screen, result)
    if by_phase:
        print_phases(screen, result)
