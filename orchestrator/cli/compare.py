"""`losttick compare`: did a run get worse than another one?"""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from orchestrator.cli.at_end import wrote
from orchestrator.cli.compare_arms import ArmsError, ArmsWanted, LabArms, check_arms
from orchestrator.cli.compare_run import run_compared
from orchestrator.cli.compare_table import print_comparison
from orchestrator.cli.exits import ExitCode, despite_output, errors_to_exits, run_async
from orchestrator.cli.history.options import Db, opened
from orchestrator.cli.options import (
    AsJson,
    CommandDeadline,
    QemuUser,
    SharedOut,
    StateDeadline,
    raised_deadlines,
)
from orchestrator.cli.out import DEFAULT_OUT
from orchestrator.cli.screen import Screen
from orchestrator.cli.text import print_json
from orchestrator.cli.whole import Whole
from orchestrator.errors import InputError
from orchestrator.lab.kernel.variants import Variant
from orchestrator.process.existence import exists
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


_RUN = "With --run"


def _with_run(text: str, default: str | bool = False, parser: Whole | None = None) -> Any:
    """Return an option that only --run takes."""
    return typer.Option(parser=parser, help=text, show_default=default, rich_help_panel=_RUN)


def compare(
    runs: Annotated[
        list[str] | None,
        typer.Argument(
            help="Output folders, or runs of the history: a number, a label (nightly~1 is the "
            "run before nightly), or kernel=VERSION. The first is the one before.",
            metavar="RUN...",
        ),
    ] = None,
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
    run: Annotated[
        bool,
        typer.Option(
            "--run",
            help="Run the arms first, on this host or in the lab, a block of loads at a time in "
            "turns, so that a drift of the host hits all of them.",
            rich_help_panel=_RUN,
        ),
    ] = False,
    qemu: Annotated[
        list[str] | None,
        _with_run("QEMU of an arm: a path or a name. Give it for each arm, A first."),
    ] = None,
    kernels: Annotated[
        list[str] | None,
        typer.Option(
            "--kernel",
            help="Kernel of an arm in the lab, as for `losttick lab run`. Give it for each arm.",
            rich_help_panel=_RUN,
        ),
    ] = None,
    variants: Annotated[
        list[Variant] | None,
        typer.Option(
            "--variant",
            help="Edit of the kernels' KVM modules in the lab. Give it for each arm, such as "
            "untouched and revert-fix.",
            rich_help_panel=_RUN,
        ),
    ] = None,
    every: Annotated[
        int,
        _with_run("The variant `partial` loses the interrupt of 1 load in N.", "4", Whole(1)),
    ] = 4,
    plan: Annotated[
        str | None,
        typer.Option(
            help="A plan of cells, as for `losttick run`. Options override it.",
            metavar="FILE|NAME",
            rich_help_panel=_RUN,
        ),
    ] = None,
    mode: Annotated[list[str] | None, _with_run("Timer of the guest.", "one-shot")] = None,
    period: Annotated[
        list[str] | None, _with_run("Timer period in ms; auto measures it once for all.", "auto")
    ] = None,
    trials: Annotated[
        int | None, _with_run("Trials of each cell and arm.", "299; in the lab 60", Whole(1))
    ] = None,
    rule_out: Annotated[
        float | None, _with_run("Loss rate that each arm should rule out, 0 to 1.", "0.01")
    ] = None,
    seconds: Annotated[
        float | None, _with_run("Time limit for the trials of each cell and arm.", "none")
    ] = None,
    seed: Annotated[
        int | None, _with_run("Seed of the phases and of the order.", "drawn", Whole(0))
    ] = None,
    parallel: Annotated[
        int | None, _with_run("vCPUs that run at a time.", "1", Whole(1, 1024))
    ] = None,
    out: Annotated[
        Path | None,
        _with_run("Folder for the arms' folders A, B and so on.", f"{DEFAULT_OUT}/TIME"),
    ] = None,
    resume: Annotated[
        Path | None,
        typer.Option(
            help="Go on with the interrupted arms in this folder.",
            metavar="DIR",
            rich_help_panel=_RUN,
        ),
    ] = None,
    qemu_user: QemuUser = None,
    command_deadline: CommandDeadline = None,
    state_deadline: StateDeadline = None,
    shared_out: SharedOut = False,
) -> None:
    """Compare runs cell by cell; did the loss rate get worse?

    Each run is compared with the first one. With --run, the runs are made
    here and now: two or more arms take turns on one host. Exit codes: 1 if a
    cell is worse, 5 if the first tick shifted and --fail-on names that, 6 if
    it can't be told how a cell stands, else 0.
    """
    with errors_to_exits(as_json=as_json):
        page = _page(html)
        kinds = frozenset(fail_on or DEFAULT)
        wanted = ArmsWanted(
            qemus=qemu or (),
            lab=LabArms(kernels or (), variants or (), every),
            plan=plan,
            given={
                "seed": seed,
                "axes": {"mode": mode, "period_ms": period},
                "limits": {"trials": trials, "rule_out": rule_out, "seconds": seconds},
            },
            out=out,
            resume=resume,
            parallel=parallel,
            qemu_user=qemu_user,
            deadlines=raised_deadlines(command_deadline, state_deadline),
            shared_out=shared_out,
        )
        runs = _run_arms(wanted, runs) if run else _read_runs(wanted, runs)
        found = compared(_arms(runs, db), margin=margin, judged=judged_shifts(kinds))
        code, screen = comparison_exit(found, kinds), Screen()
        if as_json:
            print_json(comparison_data(found))
        else:
            print_comparison(screen, found)
        if html and page:
            if not wrote(f"writing {html}", lambda: write_target(html, page(found))):
                code = despite_output(code)
            elif not as_json:
                screen.line(f"html: {html}")
    raise typer.Exit(code)


def _read_runs(wanted: ArmsWanted, runs: Sequence[str] | None) -> list[str]:
    """Return the names of runs that are there.

    Raises:
        ArmsError: an option was given that only --run takes.
        TooFewRunsError: no run was named.
    """
    if wanted.options or wanted.resume or wanted.parallel:
        raise ArmsError(
            "comparing runs: --qemu, --kernel, --variant, --plan, --out, --resume and the settings "
            "of the trials need --run, which runs the arms first"
        )
    if not runs:
        raise TooFewRunsError(
            "comparing runs: name two of them, or run two arms in turns, such as `losttick "
            "compare --run --qemu OLD --qemu NEW`"
        )
    return list(runs)


def _run_arms(wanted: ArmsWanted, runs: Sequence[str] | None) -> list[str]:
    """Run the arms; return their folders.

    Raises:
        ArmsError: runs were named, too, or the arms can't be run.
    """
    if runs:
        raise ArmsError(
            f"comparing arms: --run makes its own runs, so {runs[0]} can't be named, too"
        )
    check_arms(wanted)
    folders: list[Path] = []

    async def start() -> ExitCode:
        folders.extend(await run_compared(wanted))
        return ExitCode.CLEAN

    run_async(start)
    return [str(folder) for folder in folders]


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
    if exists(folder) or len(folder.parts) > 1:
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
