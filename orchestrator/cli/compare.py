"""`losttick compare`: did a run get worse than another one?"""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli.compare_table import print_comparison
from orchestrator.cli.exits import errors_to_exits
from orchestrator.cli.history.options import Db, opened
from orchestrator.cli.options import AsJson
from orchestrator.cli.screen import Screen
from orchestrator.cli.text import print_json
from orchestrator.errors import InputError
from orchestrator.results.comparison.arm import Arm, read_arm
from orchestrator.results.comparison.compare import Comparison
from orchestrator.results.comparison.compare import compare as compared
from orchestrator.results.comparison.exit import (
    DEFAULT,
    CompareFailOn,
    comparison_exit,
    judged_shifts,
)
from orchestrator.results.comparison.plain import comparison_data
from orchestrator.results.outputs.table import comparison_page
from orchestrator.results.outputs.target import check_target, write_target


class TooFewRunsError(InputError):
    """A comparison needs two runs."""


def _margin(value: float | None) -> float | None:
    if value is not None and not (math.isfinite(value) and 0 < value < 1):
        raise typer.BadParameter("a margin is a difference of loss rates, such as 0.02 for 2 %")
    return value


def compare(
    runs: Annotated[
        list[str],
        typer.Argument(
            help="Output folders, or runs of the history: a number, a label (nightly~1 is the "
            "run before nightly), or kernel=VERSION. The first is the one before.",
            metavar="RUN...",
        ),
    ],
    margin: Annotated[
        float | None,
        typer.Option(
            callback=_margin,
            help="Difference of loss rates that does not matter, such as 0.02.",
            show_default="twice the rate that the plan wants ruled out",
        ),
    ] = None,
    html: Annotated[
        Path | None, typer.Option(help="Also write an HTML page.", metavar="FILE")
    ] = None,
    fail_on: Annotated[
        list[CompareFailOn] | None,
        typer.Option(
            "--fail-on",
            help="Kind of answer that ends with an exit code other than 0. May be given more than "
            "once. The class and the latency of the first tick count only if they are named.",
            show_default="worse and cant-tell",
        ),
    ] = None,
    db: Db = None,
    as_json: AsJson = False,
) -> None:
    """Compare runs cell by cell; did the loss rate get worse?

    Each run is compared with the first one. Exit codes: 1 if a cell is worse,
    5 if the first tick shifted and --fail-on names that, 6 if it can't be
    told how a cell stands, else 0.
    """
    with errors_to_exits(as_json=as_json):
        page = _page(html)
        kinds = frozenset(fail_on or DEFAULT)
        found = compared(_arms(runs, db), margin=margin, judged=judged_shifts(kinds))
        if html and page:
            write_target(html, page(found))
        if as_json:
            print_json(comparison_data(found))
        else:
            screen = Screen()
            print_comparison(screen, found)
            if html:
                screen.line(f"html: {html}")
    raise typer.Exit(comparison_exit(found, kinds))


def _arms(runs: Sequence[str], db: str | None) -> list[Arm]:
    """Read the runs.

    Raises:
        TooFewRunsError: there is only one, or one is named twice.
    """
    if len(runs) < 2:
        raise TooFewRunsError(
            f"comparing {runs[0]}: name another run to compare it with, such as the run before"
        )
    found = [_arm(each, db) for each in runs]
    identities = [identity for identity, _ in found]
    for place, run in enumerate(runs):
        if identities[place] in identities[:place]:
            raise TooFewRunsError(f"comparing {run}: it is named twice. Name two different runs")
    return [arm for _, arm in found]


def _arm(name: str, db: str | None) -> tuple[str, Arm]:
    """Return a run's identity, and the run: from its folder if there is one, or the history."""
    folder = Path(name)
    if folder.exists() or len(folder.parts) > 1:
        return str(folder.resolve()), read_arm(folder, name)
    history = opened(db)
    run = history.find(name)
    return str(Path(run.folder).resolve()), history.arm(run)


def _page(html: Path | None) -> Callable[[Comparison], bytes] | None:
    """Check the file of the page; return the function that writes it.

    Raises:
        OutputError: the file can't be written, or a package is missing.
    """
    if html is None:
        return None
    check_target(html)
    return comparison_page()
