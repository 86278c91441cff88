"""`losttick bisect`: which commit, kernel or QEMU is the first that loses ticks?"""

import math
from pathlib import Path
from typing import Annotated

import typer

from orchestrator.bisect.answer import answer_of
from orchestrator.bisect.log import read_log
from orchestrator.bisect.rules import DEFAULT_CONFIDENCE, DEFAULT_MIN_RATE, Find, Rules
from orchestrator.bisect.state import fold
from orchestrator.bisect.words import answer_data
from orchestrator.cli.bisect import going
from orchestrator.cli.bisect.answer_text import answer_exit, print_answer
from orchestrator.cli.bisect.question import BisectUsageError, Question
from orchestrator.cli.exits import ExitCode, errors_to_exits, run_async
from orchestrator.cli.options import AsJson, Out, QemuUser, Seed, SharedOut
from orchestrator.cli.screen import Screen
from orchestrator.cli.text import print_json


def _share(value: float | None) -> float | None:
    if value is not None and not (math.isfinite(value) and 0 < value < 1):
        raise typer.BadParameter("it is a number between 0 and 1, such as 0.01 for 1 %")
    return value


def _rate(value: float | None) -> float | None:
    if value is not None and not (math.isfinite(value) and 1e-4 <= value < 1):
        raise typer.BadParameter("a loss rate is a number from 0.0001 to 1, such as 0.01 for 1 %")
    return value


def search(
    good: Annotated[
        str | None,
        typer.Option(
            help="The end that does not lose: a revision of --tree, or a member of a list.",
            metavar="A",
            show_default="the list's first one; with --find fix its last one",
        ),
    ] = None,
    bad: Annotated[
        str | None,
        typer.Option(
            help="The end that loses.",
            metavar="B",
            show_default="the list's last one; with --find fix its first one",
        ),
    ] = None,
    tree: Annotated[
        Path | None,
        typer.Option(help="Git tree of a kernel. It is only read.", metavar="DIR"),
    ] = None,
    kernels: Annotated[
        list[str] | None,
        typer.Option(
            help="Kernels as `lab run --kernel` names them, oldest first, between commas or "
            "spaces; @FILE has one a line. May be given more than once.",
            metavar="LIST",
        ),
    ] = None,
    qemus: Annotated[
        list[str] | None,
        typer.Option(help="QEMU binaries, oldest first, tested on this host.", metavar="LIST"),
    ] = None,
    path: Annotated[
        list[str] | None,
        typer.Option(
            "--path",
            help="Only commits that change this file or folder count. May be given more than once.",
            metavar="PATH",
        ),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            help="Configuration of the kernels.",
            metavar="FILE",
            show_default="the shortest one that a lab needs",
        ),
    ] = None,
    on: Annotated[
        str,
        typer.Option(
            help="Build only KVM's modules, and run them in this Debian kernel, such as "
            "debian:6.1.176-1.",
            metavar="KERNEL",
        ),
    ] = "",
    find: Annotated[
        Find,
        typer.Option(help="What to find: the first one that loses, or the first fixed one."),
    ] = Find.BREAK,
    min_rate: Annotated[
        float,
        typer.Option(callback=_rate, help="Lowest loss rate that counts, in losses per load."),
    ] = DEFAULT_MIN_RATE,
    confidence: Annotated[
        float,
        typer.Option(callback=_share, help="Lowest probability with which an answer is given."),
    ] = DEFAULT_CONFIDENCE,
    parent_rate: Annotated[
        float | None,
        typer.Option(
            callback=_rate,
            help="Load the clean neighbour of the culprit so often that this loss rate is ruled "
            "out. May be given with --resume.",
            metavar="RATE",
        ),
    ] = None,
    resume: Annotated[
        Path | None,
        typer.Option(help="Go on with the bisection in this folder.", metavar="DIR"),
    ] = None,
    replay: Annotated[
        Path | None,
        typer.Option(help="Print what a log says; nothing is tested.", metavar="LOG"),
    ] = None,
    seed: Seed = None,
    qemu_user: QemuUser = None,
    out: Out = None,
    shared_out: SharedOut = False,
    as_json: AsJson = False,
) -> None:
    """Find the first commit, kernel or QEMU that loses ticks.

    For losses that come only now and then: each test is the one that tells
    most a second, by the probability of each candidate and each loss rate.
    Both ends are tested, and the answer is confirmed at its neighbour.

    Exit codes: 0 if the first one was found; 6 if not, for instance because
    neither end loses, or both do; 3 if an end can't be built or booted; 2 for
    bad usage; 4 if losttick or the host failed.
    """
    with errors_to_exits(as_json=as_json):
        rules = Rules(find, min_rate, confidence, parent_rate)
        question = Question(
            good, bad, tree, tuple(kernels or ()), tuple(qemus or ()), tuple(path or ()), config,
            on, seed, qemu_user, rules,
        )  # fmt: skip
        _check_ways(question, resume, replay, out)
        code = run_async(lambda: _run(question, resume, replay, out, shared_out, as_json))
    raise typer.Exit(code)


def _check_ways(
    question: Question, resume: Path | None, replay: Path | None, out: Path | None
) -> None:
    """Refuse options that a log answers already.

    Raises:
        BisectUsageError: there are such options.
    """
    if resume is None and replay is None:
        question.check()
        return
    option = "--resume" if resume else "--replay"
    asked = [question.good, question.bad, question.tree, question.kernels, question.qemus]
    if (resume and replay) or any(asked) or out:
        raise BisectUsageError(
            f"bisecting: {option} takes ends, candidates and folder from the log: leave out "
            f"{'--replay' if resume and replay else '--good, --bad, --tree, --kernels, --qemus'} "
            "and --out"
        )


async def _run(
    question: Question,
    resume: Path | None,
    replay: Path | None,
    out: Path | None,
    shared: bool,
    as_json: bool,
) -> ExitCode:
    """Bisect, or read a log; print the answer."""
    folder = resume
    if replay:
        state = fold(read_log(replay))
    elif resume:
        rate = question.rules.parent_rate
        state = (await going.resume(resume, rate, question.qemu_user, shared=shared)).state
    else:
        folder, bisection = await going.begin(question, out, shared=shared)
        state = bisection.state
    found = answer_of(state)
    if as_json:
        print_json({**answer_data(found), "folder": folder and str(folder)})
    else:
        screen = Screen()
        print_answer(screen, found)
        if folder:
            screen.line(f"log and results: {folder}")
    return answer_exit(found)
