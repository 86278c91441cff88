"""`losttick show`: the results of runs, read from their folders."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli.direct_table import print_direct
from orchestrator.cli.exits import errors_to_exits, result_exit
from orchestrator.cli.lab.arms_table import print_arms
from orchestrator.cli.options import AsJson, FailOnKinds
from orchestrator.cli.phases import print_phases
from orchestrator.cli.run_table import print_run
from orchestrator.cli.screen import Screen
from orchestrator.cli.text import print_json
from orchestrator.results.direct import direct_summary, is_direct, read_direct_result
from orchestrator.results.result import read_result
from orchestrator.results.summary import summary
from orchestrator.verdict.direct import DirectResult
from orchestrator.verdict.run import RunResult


def show(
    folders: Annotated[
        list[Path], typer.Argument(help="Output folders of runs.", metavar="DIR...")
    ],
    by_phase: Annotated[
        bool, typer.Option("--by-phase", help="Also print outcomes by the phase of the save.")
    ] = False,
    fail_on: FailOnKinds = None,
    as_json: AsJson = False,
) -> None:
    """Print the results of finished or interrupted runs again.

    The verdicts are computed again from the journals. With several folders,
    --json prints a list of the objects that the runs printed. Exit codes as
    for `losttick run`; the gravest cell of all results decides.
    """
    with errors_to_exits(as_json=as_json, fail_on=fail_on):
        results = [_read(folder) for folder in folders]
        if as_json:
            found = [
                direct_summary(result) if isinstance(result, DirectResult) else summary(result)
                for result in results
            ]
            print_json(found[0] if len(found) == 1 else found)
        else:
            _print(results, by_phase=by_phase)
    raise typer.Exit(result_exit((end for result in results for end in result.ends), fail_on))


def _read(folder: Path) -> RunResult | DirectResult:
    return read_direct_result(folder) if is_direct(folder) else read_result(folder)


def _print(results: Sequence[RunResult | DirectResult], *, by_phase: bool) -> None:
    screen = Screen()
    for number, result in enumerate(results):
        if number:
            screen.space()
        if isinstance(result, DirectResult):
            print_direct(screen, result)
            continue
        if any(cell.lab for cell in result.cells):
            print_arms(screen, result)
        else:
            print_run(screen, result)
        if by_phase:
            print_phases(screen, result)
