"""The direct test in labs that fail: each failure keeps its own words."""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from orchestrator.clock import DEFAULT_DEADLINES
from orchestrator.direct.answers import SilentProgramError
from orchestrator.direct.wanted import DirectTrials
from orchestrator.lab import direct as module
from orchestrator.lab import labs
from orchestrator.lab.arms import Arm
from orchestrator.lab.direct import count_in_lab, run_direct_in_labs
from orchestrator.lab.emulator.bochs import Bochs
from orchestrator.lab.emulator.boot import LabError
from orchestrator.lab.host.clock import LabClock
from orchestrator.lab.host.frames import Frame
from orchestrator.lab.host.host import LabHost
from orchestrator.lab.host.programs import Programs
from orchestrator.lab.kernel.kernel import Kernel
from orchestrator.lab.kernel.names import kernel
from orchestrator.lab.labs import LabParts
from orchestrator.testing import FACTS
from orchestrator.verdict.verdict import Verdict
from tests.support.trees import tree

BOCHS = Bochs(Path("bochs"), Path("bios"), Path("vga"), "a Bochs of the test's")


@pytest.mark.parametrize("parallel", [1, 2])
async def test_a_lab_that_fails_is_quoted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, parallel: int
) -> None:
    panic = "its kernel panicked (Kernel panic - not syncing: no init)"

    @contextlib.asynccontextmanager
    async def boot(image: SimpleNamespace, *_: object) -> AsyncIterator[LabHost]:
        raise LabError(panic, [f"the last words of {image.kernel.title}"])
        yield

    monkeypatch.setattr(labs, "boot", boot)
    monkeypatch.setattr(module, "direct_parts", LabParts)
    kernels: list[Kernel] = [
        kernel(f"{name}=tree:{tree(tmp_path / name, built=name)}") for name in ("before", "after")
    ]
    out = tmp_path / "out"
    out.mkdir()
    result = await run_direct_in_labs(
        [Arm(each) for each in kernels], DirectTrials(1, 4_000_000, (0,)), 0.95, out,
        bochs=BOCHS, parallel=parallel,
    )  # fmt: skip
    assert [host.name for host in result.hosts] == ["before/untouched", "after/untouched"]
    for host, name in zip(result.hosts, ("before", "after"), strict=True):
        assert host.verdict is Verdict.INCONCLUSIVE
        assert panic in host.why
        assert f"the last words of {name}" in host.why
        assert "ExceptionGroup" not in host.why
    assert len(list((out / "serial").iterdir())) == 2


class Agent:
    """The agent of a lab whose program never ends by itself; each word tells the lab's time."""

    def __init__(self, says: bytes) -> None:
        self.clock, self.programs, self.says = LabClock(), Programs(), says
        self.killed = False

    async def ask(self, kind: bytes, qemu: int, payload: bytes) -> bytes:
        if kind == b"K":
            self.killed = True
            self.programs.hear(Frame(b"x", qemu, 0, b"-9"))
        return b"7" if kind == b"S" else b""

    async def live(self) -> None:
        for second in itertools.count(1):
            self.clock.tell(second * 1_000_000_000)
            if self.says:
                self.programs.hear(Frame(b"e", 0, second, self.says))
            await asyncio.sleep(0.001)


@pytest.mark.parametrize("says", [b"", b"hello\n", b'{"progress": 0}\n'])
async def test_a_program_that_is_stuck_in_a_lab_that_lives_is_given_up(says: bytes) -> None:
    agent = Agent(says)
    image, lab = SimpleNamespace(cpus=1, qemu="qemu"), SimpleNamespace(serial=[])
    host = LabHost(image, lab, agent, agent.programs, FACTS, 5.0, DEFAULT_DEADLINES)  # type: ignore[arg-type]
    living = asyncio.create_task(agent.live())
    with pytest.raises(SilentProgramError, match=r"nothing new for 60\.24 s of its host"):
        await asyncio.wait_for(count_in_lab(host, DirectTrials(1, 4_000_000, (0,))), 20)
    living.cancel()
    assert agent.killed
    assert not agent.programs.running


@pytest.mark.parametrize("excuse", ["", " (the emulator waited for a CPU for 9 of 10 s)"])
async def test_a_lab_whose_clock_stands_still_is_not_waited_for_for_ever(excuse: str) -> None:
    """Its kernel may go on printing: then the lab's own deadline never comes."""
    agent = Agent(b"")
    agent.clock = LabClock(0.01)
    image, lab = SimpleNamespace(cpus=1, qemu="qemu"), SimpleNamespace(serial=[])
    lab.excuse = lambda: excuse
    deadlines = replace(DEFAULT_DEADLINES, direct_news_ns=10_000_000)
    host = LabHost(image, lab, agent, agent.programs, FACTS, 5.0, deadlines)  # type: ignore[arg-type]
    with pytest.raises(SilentProgramError, match="its clock stood still") as caught:
        await asyncio.wait_for(count_in_lab(host, DirectTrials(1, 4_000_000, (0,))), 20)
    assert caught.value.transient is bool(excuse)
    assert excuse in str(caught.value)
    assert "of its host's time" not in str(caught.value)
    assert agent.killed
