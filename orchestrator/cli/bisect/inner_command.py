"""The losttick command that `losttick bisect run` runs at each commit."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer
from typer.main import get_command

from orchestrator.cli.app import PARSER_ERROR, typer_of_one
from orchestrator.cli.commands import LOSTTICK, Command, Group
from orchestrator.errors import InputError
from orchestrator.lab.kernel.commit import Commit
from orchestrator.lab.kernel.debian import Debian
from orchestrator.lab.kernel.names import kernel_source
from orchestrator.lab.kernel.repository import Repository, RepositoryError
from orchestrator.lab.kernel.tree import IMAGE, MODULE_PATHS, Tree
from orchestrator.lab.kernel.variants import Variant
from orchestrator.lab.plan import PERIOD_MS
from orchestrator.process.tool import MissingToolError

#: The commands whose runs tell a commit that loses from one that does not.
RUNS = (("lab", "run"), ("run",))


#: Options of theirs that `bisect run` gives itself, or that would hide the answer.
_OWN = {
    "out": "--out: name the folder of all steps instead: losttick bisect run --out DIR -- …",
    "fail_on": "--fail-on: the exit code for git is made of the verdict",
    "resume": "--resume: each commit needs a run of its own",
}


#: Options of a lab run that choose the period, or a timer or guest that needs another one.
_SETS_PERIOD = ("period", "mode", "guest", "vcpus")


class InnerCommandError(InputError):
    """The command can't be run for `git bisect run`."""

    def __init__(self, seen: str) -> None:
        super().__init__(
            f"bisect run: {seen}. Such a command works: "
            "losttick bisect run -- lab run --kernel git:."
        )


@dataclass(frozen=True, slots=True)
class InnerCommand:
    """A losttick command, checked."""

    words: tuple[str, ...]
    """The command's name and its arguments, without `losttick`."""
    trials: int | None
    """Trials of each cell, if the command says how many."""
    in_lab: bool
    usual_period: bool = False
    """True for a lab whose timer can have the lab's usual period."""

    def with_claim(self, trials: int, rate: float, error: float, out: Path) -> list[str]:
        """Return the arguments for losttick: the command, and the loads that an answer needs.

        Args:
            trials: loads without a loss that rule out the rate.
            rate: the loss rate to rule out.
            error: the probability of a mistake that is left for this answer.
            out: folder of the run.
        """
        goal = [] if self.trials else ["--trials", str(trials)]
        if not self.in_lab:
            goal += ["--rule-out", repr(rate), "--require", "apicv"]
        if self.usual_period:  # nobody asks when the first tick comes, so it is not measured
            goal += ["--period", f"{PERIOD_MS:g}"]
        return [
            *self.words, *goal, "--confidence", repr(1 - error), "--stop-after", "1",
            "--out", str(out), "--json",
        ]  # fmt: skip


def inner_command(words: Sequence[str]) -> InnerCommand:
    """Return the command that a user gives after `--`, if it can serve.

    Raises:
        InnerCommandError: it is none of losttick's, or none that tests a commit.
    """
    own = _without_losttick(words)
    name = next((each for each in RUNS if tuple(own[: len(each)]) == each), None)
    if name is None:
        given = " ".join(words[:3]) or "nothing"
        raise InnerCommandError(
            f"the command must be `lab run` or `run` of losttick, not {given!r}"
        )
    given_options = _parsed(name, own[len(name) :])
    for option, why in _OWN.items():
        if given_options.get(option):
            raise InnerCommandError(f"leave out {why}")
    in_lab = name == ("lab", "run")
    if in_lab:
        _check_lab(given_options)
    usual = in_lab and not any(given_options.get(each) for each in _SETS_PERIOD)
    return InnerCommand(tuple(own), given_options.get("trials"), in_lab, usual)


def _without_losttick(words: Sequence[str]) -> list[str]:
    """Return a command's words after `losttick` or `python -m orchestrator`."""
    own = list(words)
    if "orchestrator" in own[:4] and own[own.index("orchestrator") - 1] == "-m":
        return own[own.index("orchestrator") + 1 :]
    return own[1:] if own and Path(own[0]).name == "losttick" else own


def _parsed(name: tuple[str, ...], args: Sequence[str]) -> dict[str, Any]:
    """Return the options of a command, as the command itself would read them.

    Only options that are given have a value.
    """
    entry: Command | Group = LOSTTICK
    for word in name:
        assert isinstance(entry, Group)
        entry = entry.commands[word]
    assert isinstance(entry, Command)
    called = " ".join(["losttick", *name])
    command = get_command(typer_of_one(name[-1], entry))
    try:
        context = command.make_context(called, list(args))
    except (typer.Exit, typer.Abort):  # it was asked for its help
        raise InnerCommandError(f"`{called}` would only print its help") from None
    except PARSER_ERROR as error:
        raise InnerCommandError(f"`{called}`: {error.format_message()}") from None
    found: dict[str, Any] = {}
    for option, value in context.params.items():
        source = context.get_parameter_source(option)
        if source is not None and source.name != "DEFAULT":
            found[option] = value
    return found


def _check_lab(given: dict[str, Any]) -> None:
    """Check that a lab run tests the commit, and nothing but the commit."""
    kernels = given.get("kernels") or []
    if len(kernels) != 1:
        raise InnerCommandError(f"`lab run` must name one --kernel, not {len(kernels) or 'none'}")
    if any(each is not Variant.UNTOUCHED for each in given.get("variants") or []):
        raise InnerCommandError("leave out --variant: the commit is tested as it is")
    if given.get("apicv") is False:
        raise InnerCommandError("leave out --no-apicv: without APICv no commit shows the bug")
    (kernel,) = kernels
    source = kernel_source(kernel)
    if isinstance(source, Tree):
        _check_tree(source)
    elif isinstance(source, Debian):
        raise InnerCommandError(f"--kernel {kernel} is the same kernel at every commit")
    elif isinstance(source, Commit):
        _check_commit(kernel, source)


def _check_commit(kernel: str, source: Commit) -> None:
    """Refuse a commit that is not the one that git asks about."""
    if source.named_by_hash:
        raise InnerCommandError(f"--kernel {kernel} is the same commit at every step")
    current = source.repository.current()
    if source.commit != current:
        raise InnerCommandError(
            f"--kernel {kernel} is {source.commit[:12]}, and git asks about {current[:12]}. With "
            "git bisect --no-checkout, name git:DIR@BISECT_HEAD"
        )


def _check_tree(tree: Tree) -> None:
    """Refuse a tree in which nothing was built since its commit was checked out."""
    image = tree.folder / IMAGE
    try:
        said = Repository.at(tree.folder).ask("rev-parse", "--git-path", "HEAD").rstrip("\n")
        built = [image, *(tree.folder / path for path in MODULE_PATHS.values())]
        newest = max(path.stat().st_mtime for path in built if path.exists())
        stale = newest < (tree.folder / said).stat().st_mtime
    except (RepositoryError, MissingToolError, OSError, ValueError):
        return  # no git tree, or nothing built: the run says more
    if stale:
        raise InnerCommandError(
            f"{image} is older than the checkout of this commit. Build it at each step (and touch "
            "it, because make leaves alone what does not change), or let losttick build the "
            "commit: --kernel git:."
        )
