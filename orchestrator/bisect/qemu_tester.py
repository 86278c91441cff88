"""Tests QEMU binaries on this host's KVM."""

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
from orchestrator.campaign.run import run_plan
from orchestrator.direct.witness import ask_this_host
from orchestrator.host.errors import NotQemuError, QemuStartError
from orchestrator.host.qemus import LocalQemus
from orchestrator.lab.kernel.kernel import silent
from orchestrator.plan.choices import Requirement
from orchestrator.plan.faults import COMMAND_LINE
from orchestrator.plan.load import build_plan
from orchestrator.process.background import in_thread
from orchestrator.vm.config import Accel

#: Room for the run of a candidate: its journal and its evidence.
_RUN = 3 << 20


@dataclass(slots=True)
class QemuTester:
    """Runs each candidate, whose name is the path of a QEMU binary; see `Tester`."""

    out: Path
    """Folder that gets a folder for each test. It may be there already."""
    seed: int | None = None
    qemu_user: str | None = None
    require: tuple[Requirement, ...] = (Requirement.APICV,)
    """Properties of the host without which no test is begun: a host without APICv shows no loss."""
    axes: Mapping[str, object] = field(default_factory=lambda: {"accel": "kvm"})
    """Settings of the trials, as the `[axes]` table of a plan has them."""
    say: Callable[[str], None] = silent
    confidence: float = 0.95
    _pace: Pace = field(default_factory=lambda: Pace(Cost(8.0, 0.1)))
    _runs: Runs = field(init=False)
    _said: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        """Prepare for the first run."""
        self._runs = Runs(self.out)

    @property
    def settings(self) -> Mapping[str, str]:
        """See `Tester`."""
        axes = {name: str(value) for name, value in sorted(self.axes.items())}
        return {"in": "this host", "require": " ".join(self.require), **axes}

    def needs(self, candidates: int) -> Needs:
        """See `Tester`."""
        return Needs(
            most_tests(candidates) * _RUN,
            ("Each QEMU runs the tick guest on this host's KVM.",),
        )

    def cost(self, candidate: Candidate) -> Cost:
        """See `Tester`."""
        return self._pace.cost

    def tested_before(self, name: str, signature: str) -> None:
        """See `Tester`."""
        self._runs.tested(name, signature)

    async def test(
        self, candidate: Candidate, loads: int, losses: int = 1
    ) -> Tested | Untestable | Same:
        """See `Tester`."""
        began_s = time.monotonic()
        path = Path(candidate.name)
        try:
            signature = await in_thread(lambda: hashlib.sha256(path.read_bytes()).hexdigest())
        except OSError as error:
            why = f"reading {path}: {error.strerror}"
            return Untestable(why, time.monotonic() - began_s, Stage.BUILD)
        if self._runs.meets_again(candidate.name, signature):
            return Same(signature, time.monotonic() - began_s)
        plan = build_plan(
            {
                "axes": {**self.axes, "qemu": candidate.name},
                "require": list(self.require),
                "seed": self.seed,
                "limits": {
                    "trials": loads, "stop_after": losses, "confidence": self.confidence,
                    "rule_out": 1 - (1 - self.confidence) ** (1 / loads),
                },
            },
            COMMAND_LINE,
        )  # fmt: skip
        folder = self._runs.folder(str(path))
        self.say(f"{candidate.name}: up to {loads} loads")
        try:
            async with LocalQemus(
                plan.qemus, qemu_user=self.qemu_user, say=self._say_once
            ) as qemus:
                host = await qemus.first()
                ready_s = time.monotonic()
                result = await run_plan(
                    host, plan, Accel.KVM, folder, qemus=qemus.opener, ask=ask_this_host
                )
        except (NotQemuError, QemuStartError) as error:
            return Untestable(str(error), time.monotonic() - began_s, Stage.BOOT)
        seconds = time.monotonic() - began_s
        told = judged(result, seconds, folder, signature)
        if isinstance(told, Tested):
            self._runs.tested(candidate.name, signature)
            self._pace.add(ready_s - began_s, told.loads, seconds)
        return told

    def _say_once(self, note: str) -> None:
        """Say what is so of each candidate, and was perhaps said of one before."""
        if note not in self._said:
            self._said.add(note)
            self.say(note)

    async def close(self) -> None:
        """Do nothing: a QEMU ends with its test."""
