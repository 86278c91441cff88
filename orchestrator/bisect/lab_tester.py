"""Tests kernels in a lab: commits of a git tree, Debian's versions, and whatever a lab boots."""

import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.bisect.candidate import Candidate
from orchestrator.bisect.judge import judged
from orchestrator.bisect.pace import Pace
from orchestrator.bisect.runs import Runs
from orchestrator.bisect.tester import (
    Cost,
    Needs,
    Same,
    Stage,
    Tested,
    Untestable,
    most_tests,
)
from orchestrator.errors import LosttickError
from orchestrator.lab.arms import Arm
from orchestrator.lab.emulator.bochs import Bochs
from orchestrator.lab.kernel.kernel import Kernel, silent
from orchestrator.lab.kernel.names import kernel
from orchestrator.lab.plan import lab_plan
from orchestrator.lab.ready import check_ready
from orchestrator.lab.run import run_lab
from orchestrator.process.background import in_thread, on_loop

#: Room for a kernel of packages, and for a commit's kernel, in bytes.
_PACKAGED, _BUILT = 80 << 20, 15 << 20

#: Room for the source and the objects of a whole kernel, and of KVM's modules alone.
_TREE, _MODULES = 3 << 30, 400 << 20

#: Room for the run of a candidate: its journal, its evidence and its log.
_RUN = 3 << 20


@dataclass(frozen=True, slots=True)
class Commits:
    """The kernels of a git tree's commits."""

    tree: Path
    config: Path | None = None
    """The configuration of each kernel; None for the shortest one that a lab needs."""
    on: str = ""
    """The Debian kernel, as `debian:VERSION`, in which only the commit's KVM modules run; empty to
    build and boot whole kernels."""

    def name(self, candidate: Candidate) -> str:
        """Return a candidate's kernel, as `lab run --kernel` takes it."""
        config = f",config={self.config.absolute()}" if self.config else ""
        on = f",on={self.on}" if self.on else ""
        return f"git:{self.tree.absolute()}@{candidate.commit}{config}{on}"

    @property
    def settings(self) -> dict[str, str]:
        """Whatever the kernels depend on, but for the commit."""
        config = hashlib.sha256(self.config.read_bytes()).hexdigest() if self.config else "minimal"
        return {"kernels": "commits", "config": config, "on": self.on}

    @property
    def room_bytes(self) -> int:
        """Room for what is built in."""
        return _MODULES if self.on else _TREE

    @property
    def words(self) -> tuple[str, ...]:
        """What is built."""
        if self.on:
            return (f"The KVM modules of commits are built, and run in {self.on}.",)
        return (
            "Whole kernels are built. The first one takes many minutes, the next ones less: "
            "only what differs is compiled, and only KVM's modules where nothing else differs.",
        )


@dataclass(frozen=True, slots=True)
class Named:
    """Kernels of a list, each with the name that `lab run --kernel` takes."""

    def name(self, candidate: Candidate) -> str:
        """Return a candidate's kernel."""
        return candidate.name

    settings: Mapping[str, str] = field(default_factory=lambda: {"kernels": "named"})
    room_bytes: int = 0
    words: tuple[str, ...] = ("Kernels are fetched and taken as they are.",)


@dataclass(slots=True)
class LabTester:
    """Boots each candidate in a lab of its own; see `Tester`."""

    kernels: Commits | Named
    bochs: Bochs
    out: Path
    """Folder that gets a folder for each test. It may be there already."""
    seed: int | None = None
    say: Callable[[str], None] = silent
    """Hears of each step that takes long."""
    confidence: float = 0.95
    """Of the intervals in the results; the bisection does not use them."""
    _pace: Pace = field(default_factory=lambda: Pace(Cost(90.0, 1.5)))
    _runs: Runs = field(init=False)

    def __post_init__(self) -> None:
        """Prepare for the first run."""
        self._runs = Runs(self.out)

    @property
    def settings(self) -> Mapping[str, str]:
        """See `Tester`."""
        return {**self.kernels.settings, "in": "lab", "emulator": self.bochs.origin}

    def needs(self, candidates: int) -> Needs:
        """See `Tester`."""
        each = _RUN + (_BUILT if isinstance(self.kernels, Commits) else _PACKAGED)
        words = (*self.kernels.words, "Each is booted on an emulated CPU with APICv.")
        return Needs(self.kernels.room_bytes + most_tests(candidates) * each, words)

    def cost(self, candidate: Candidate) -> Cost:
        """See `Tester`."""
        return self._pace.cost

    async def check(self, *candidates: Candidate) -> None:
        """Refuse candidates that name nothing, before anything large is fetched or built.

        Raises:
            LosttickError: what `check_ready` raises.
        """
        await in_thread(check_ready, [self.kernels.name(each) for each in candidates], ())

    def tested_before(self, name: str, signature: str) -> None:
        """See `Tester`."""
        self._runs.tested(name, signature)

    async def test(
        self, candidate: Candidate, loads: int, losses: int = 1
    ) -> Tested | Untestable | Same:
        """See `Tester`."""
        began_s = time.monotonic()
        try:
            name = self.kernels.name(candidate)
            found: Kernel = await in_thread(kernel, name, say=on_loop(self.say))
        except LosttickError as error:
            if not error.of_subject:
                raise
            return Untestable(str(error), time.monotonic() - began_s, Stage.BUILD)
        signature = await in_thread(lambda: found.digest)
        if self._runs.meets_again(candidate.name, signature):
            return Same(signature, time.monotonic() - began_s)
        folder = self._runs.folder(found.title)
        plan = lab_plan(loads, confidence=self.confidence, seed=self.seed, stop_after=losses)
        ready_s = time.monotonic()
        result = await run_lab([Arm(found)], plan, folder, bochs=self.bochs, say=self.say)
        ended_s = time.monotonic()
        told = judged(result, ended_s - began_s, folder, signature)
        if isinstance(told, Tested):
            self._runs.tested(candidate.name, signature)
            boot_s = result.cells[0].lab.boot_s if result.cells[0].lab else None
            self._pace.add(ready_s - began_s + (boot_s or 0.0), told.loads, ended_s - began_s)
        return told

    async def close(self) -> None:
        """Do nothing: a lab ends with its test."""
