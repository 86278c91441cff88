"""`losttick bisect run`: tests the checked-out commit for `git bisect run`."""

import datetime
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from orchestrator.bisect.for_git import Answer, Claim, abort, answer, answer_to_error
from orchestrator.bisect.git_bisection import (
    GitBisection,
    NoStepsError,
    git_bisection,
    share_of_error,
)
from orchestrator.cli.bisect.inner_command import InnerCommand, InnerCommandError, inner_command
from orchestrator.cli.bisect.inner_run import Ended, run_losttick
from orchestrator.cli.exits import ExitCode, errors_to_exits, run_async
from orchestrator.cli.options import AsJson
from orchestrator.cli.screen import Screen
from orchestrator.cli.text import print_json, say
from orchestrator.cli.whole import Whole
from orchestrator.errors import InfraError, LosttickError
from orchestrator.process.background import in_thread
from orchestrator.process.home import data_folder
from orchestrator.results.result import read_result
from orchestrator.stats.bounds import trials_needed

#: Most loads of a lab run, and so of a step.
MOST_LOADS = 100_000


class StepFolderError(InfraError):
    """The folder of a step can't be made."""


def run(
    command: Annotated[
        list[str],
        typer.Argument(help="`lab run` or `run` of losttick, with its options, after --."),
    ],
    expect_rate: Annotated[
        float,
        typer.Option(help="Loss rate that a bad commit has at least, 0 to 1.", min=1e-6, max=1),
    ] = 0.1,
    error: Annotated[
        float,
        typer.Option(
            help="Probability with which a bad commit of that rate may pass for good anywhere in "
            "the bisection.",
            min=1e-6,
            max=0.5,
        ),
    ] = 0.05,
    steps: Annotated[
        int | None,
        typer.Option(
            parser=Whole(1, 1000),
            help="Steps of the bisection, which share the error.",
            show_default="by git's log",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder that gets a folder for each step.",
            show_default="~/.local/share/losttick/bisect",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Test the checked-out commit, and tell `git bisect run` what it is.

    git bisect run losttick bisect run -- lab run --kernel git:.

    Exit codes, as git reads them: 0 good, if no load was lost and the rate is
    ruled out; 1 bad, if the run is affected; 125 skip: inconclusive,
    anomalous, too few loads, or a commit that does not build or boot; 128 and
    more end the bisection: bad usage, a host that can't show the bug, missing
    tools, a failure of losttick, Ctrl-C.
    """
    with errors_to_exits(as_json=as_json):
        if not command:
            raise InnerCommandError("name a command after --")
        inner = inner_command(command)
        told = run_async(
            lambda: _run(inner, _Wanted(expect_rate, error, steps, out), as_json=as_json)
        )
    raise typer.Exit(told)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """The settings of the bisection."""

    rate: float
    error: float
    steps: int | None
    out: Path | None


async def _run(inner: InnerCommand, wanted: _Wanted, *, as_json: bool) -> int:
    bisection = await in_thread(git_bisection, Path.cwd())
    claim = _claim(wanted, bisection)
    loads = trials_needed(claim.rate, 1 - claim.error) if claim.rate < 1 else 1
    if loads > MOST_LOADS:
        raise InnerCommandError(
            f"to rule out a loss rate of {claim.rate:g} takes {loads:,} loads, more than "
            f"{MOST_LOADS:,}. Expect a higher rate"
        )
    if inner.trials is not None and inner.trials < loads:
        raise InnerCommandError(
            f"{inner.trials} trials can't rule out a loss rate of {claim.rate:g} at an error of "
            f"{claim.error:.3g}: it takes {loads:,}. Leave out --trials, or expect a higher rate"
        )
    folder = await in_thread(_step_folder, wanted.out)
    say(
        f"{inner.trials or loads} loads without a loss make this commit good; any diagnosed loss "
        f"makes it bad. The run: {folder}"
    )
    ended = await run_losttick(inner.with_claim(loads, claim.rate, claim.error, folder))
    told = await in_thread(_answer, ended, folder, claim)
    there = folder if folder.exists() else None  # not after a build that failed
    if as_json:
        run = str(there) if there else None
        print_json({"git": told.word, "code": told.code, "why": told.why, "run": run})
        return told.code
    why = told.why
    if not there:  # the command has printed the whole of it
        first, _, more = why.partition("\n")
        why = f"{first.rstrip(':')} (above)" if more else first
    Screen().prose(f"{told.word}: {why}")
    if there:
        Screen().line(f"run: {there}")
    return told.code


def _claim(wanted: _Wanted, bisection: GitBisection | None) -> Claim:
    """Return what an answer `good` must rule out at this step.

    Raises:
        NoStepsError: git does not bisect here, and nobody says how many steps there are.
    """
    if wanted.steps is None and bisection is None:
        raise NoStepsError(
            "bisect run: git does not bisect here, so the number of steps is not known. Run "
            "`git bisect start BAD GOOD` first, or give --steps"
        )
    steps = wanted.steps + 1 if wanted.steps else bisection.steps if bisection else 1
    clean = bisection.clean if bisection else 0
    return Claim(wanted.rate, share_of_error(wanted.error, steps, clean))


def _step_folder(out: Path | None) -> Path:
    """Make the folder of the steps; return the folder that this step's run makes.

    It is not in the work tree, whose files are git's.
    """
    base = out or data_folder("the folder of the steps", "--out") / "losttick" / "bisect"
    try:
        base.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StepFolderError(f"making {base}: {error.strerror}") from error
    return base.absolute() / datetime.datetime.now().strftime("%Y%m%d-%H%M%S-%f")


def _answer(ended: Ended, folder: Path, claim: Claim) -> Answer:
    """Return the answer for git; whatever is not understood ends the bisection."""
    code, printed = ended.code, ended.printed
    if code < 0 or code >= 128:
        how = f"signal {-code} ended it" if code < 0 else f"it ended with {code}"
        stopped = ExitCode.INTERRUPTED if code in (130, -2, -15) else ExitCode.HARNESS
        return abort(stopped, f"the command came to no result: {how}")
    if printed is None or "verdict" not in printed:
        return abort(
            ExitCode.HARNESS, f"the command ended with {code} and told no verdict: it crashed"
        )
    if printed["verdict"] is None:
        of_subject = printed.get("untestable") is True
        return answer_to_error(code, str(printed.get("error")), of_subject=of_subject)
    try:
        return answer(read_result(folder), code, printed, claim)
    except LosttickError as error:
        return abort(ExitCode.HARNESS, str(error))
