"""What is to be bisected, and with which tester."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from orchestrator.bisect.candidate import History
from orchestrator.bisect.git_history import read_history
from orchestrator.bisect.lab_tester import Commits, LabTester, Named
from orchestrator.bisect.lists import list_history, listed_kernels, listed_qemus
from orchestrator.bisect.qemu_tester import QemuTester
from orchestrator.bisect.rules import Rules
from orchestrator.bisect.tester import Tester
from orchestrator.cli.lab.emulator import emulator
from orchestrator.cli.live import Show
from orchestrator.errors import InputError
from orchestrator.lab.ready import check_ready
from orchestrator.process.background import in_thread
from orchestrator.process.existence import no_file

#: What the candidates are, in the settings of a log.
COMMITS, KERNELS, QEMUS = "commit", "kernel", "QEMU"

#: Folder of the tests' results in that of the bisection.
TESTS = "tests"


class BisectUsageError(InputError):
    """Options of a bisection that don't go together."""


@dataclass(frozen=True, slots=True)
class Question:
    """The options of a bisection."""

    good: str | None
    bad: str | None
    tree: Path | None
    kernels: tuple[str, ...]
    qemus: tuple[str, ...]
    paths: tuple[str, ...]
    config: Path | None
    on: str
    seed: int | None
    qemu_user: str | None
    rules: Rules

    def check(self) -> None:
        """Refuse options that don't go together.

        Raises:
            BisectUsageError: they don't.
        """
        ways = [
            option
            for option, given in (
                ("--tree", self.tree), ("--kernels", self.kernels), ("--qemus", self.qemus)
            ) if given
        ]  # fmt: skip
        if len(ways) != 1:
            raise BisectUsageError(
                "bisecting: name one of --tree, --kernels and --qemus"
                + (f", and not {' and '.join(ways)}" if ways else "")
            )
        if self.tree and not (self.good and self.bad):
            raise BisectUsageError("bisecting a tree: name both ends with --good and --bad")
        if not self.tree and (self.paths or self.config or self.on):
            raise BisectUsageError("bisecting a list: --path, --config and --on need --tree")
        if self.config and (why := no_file(self.config)):
            raise BisectUsageError(f"bisecting a tree: {why}")

    def history(self) -> History:
        """Return the candidates.

        Raises:
            HistoryError, GitTreeError: they can't be found out, or are no history.
        """
        find = self.rules.find
        if self.tree:
            return read_history(self.tree, str(self.good), str(self.bad), find, self.paths)
        names = listed_kernels(self.kernels) if self.kernels else listed_qemus(self.qemus)
        return list_history(names, self.good, self.bad, find)

    def settings(self) -> dict[str, str]:
        """Return what the log keeps, to make the same tester again."""
        found = {"what": COMMITS if self.tree else KERNELS if self.kernels else QEMUS}
        if self.tree:
            found["tree"] = str(self.tree.absolute())
        if self.config:
            found["config file"] = str(self.config.absolute())
        if self.on:
            found["on kernel"] = self.on
        if self.seed is not None:
            found["seed"] = str(self.seed)
        return found


#: The settings by which a tester is made; the other ones are the tester's own.
OWN = frozenset({"what", "tree", "config file", "on kernel", "seed"})


async def tester_of(
    settings: Mapping[str, str], history: History, folder: Path, show: Show, qemu_user: str | None
) -> Tester:
    """Return the tester of a bisection, and check what can be checked before the first test.

    Args:
        settings: of the log.
        history: the candidates.
        folder: the bisection's.
        show: hears of each step that takes long.
        qemu_user: as whom QEMU runs on this host.

    Raises:
        LosttickError: something is missing, or an end is no kernel.
    """
    say: Callable[[str], None] = show.say
    seed = int(settings["seed"]) if settings.get("seed", "").isdecimal() else None
    out = folder / TESTS
    if settings.get("what") == QEMUS:
        return QemuTester(out, seed=seed, qemu_user=qemu_user, say=say)
    config = settings.get("config file")
    if settings.get("what") == COMMITS:
        kernels: Commits | Named = Commits(
            Path(settings.get("tree", ".")), Path(config) if config else None,
            settings.get("on kernel", ""),
        )  # fmt: skip
    else:
        kernels = Named()
    ends = [kernels.name(history.candidates[end]) for end in (0, -1)]
    await in_thread(check_ready, ends, ())
    return LabTester(kernels, await emulator(show), out, seed=seed, say=say)
