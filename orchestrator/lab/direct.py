"""The direct test in labs: kernels of one's choice on an emulated CPU with APICv."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from orchestrator.direct.answers import Counted, collect
from orchestrator.direct.hosts import HostLog, Subject, run_direct
from orchestrator.direct.program import build
from orchestrator.direct.wanted import DirectTrials
from orchestrator.direct.witness import WITNESS
from orchestrator.errors import UnfitError
from orchestrator.findings.series import DirectCounts
from orchestrator.host.local_facts import read_facts
from orchestrator.host.protocol import Host
from orchestrator.lab.arms import Arm
from orchestrator.lab.emulator.bochs import Bochs
from orchestrator.lab.host.host import LabHost
from orchestrator.lab.labs import ArmHost, LabParts, Labs
from orchestrator.process.background import in_thread
from orchestrator.verdict.direct import DirectResult

#: Path of the direct test's program in a lab.
PROGRAM = "bin/probe"


#: Takes the name of an arm and the number of its trials; gives, for as long as its context
#: lasts, a function that hears how many are done.
Bar = Callable[[str, int], contextlib.AbstractContextManager[Callable[[int], None]]]


@contextlib.contextmanager
def no_bar(arm: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show no progress."""
    yield lambda done: None


def direct_parts(bochs: Bochs) -> LabParts:
    """Return what a lab for direct tests is made of.

    Raises:
        NoToolsError: the program can't be built here.
        ToolError: building the program failed.
    """
    return LabParts(bochs, programs={PROGRAM: build().read_bytes()})


async def count_in_lab(
    host: LabHost,
    wanted: DirectTrials,
    progress: Callable[[int], None] = lambda done: None,
    counted: Counted = lambda series, role: None,
) -> DirectCounts:
    """Run the direct test in a booted lab.

    Args:
        host: a lab made of `direct_parts`.
        wanted: the trials.
        progress: called with the number of trials done.
        counted: called with each series as soon as it is counted.

    Raises:
        LabError: the program failed, or the lab ended.
        SilentProgramError: nothing new came from the program for too long.
        ShortAnswerError: the program ended before its last series.
    """
    async with contextlib.aclosing(host.run([f"/{PROGRAM}", *wanted.arguments])) as lines:
        return await collect(
            lines, wanted, host.clock, progress, counted,
            within_ns=host.deadlines.direct_news_ns,
            excuse=lambda stood_still: host.excuse() if stood_still else "",
        )  # fmt: skip


async def ask_in_lab(host: Host) -> DirectCounts:
    """Run the short direct test in the lab that a cell is counted in.

    Raises:
        UnfitError: the host is no lab.
        LabError: the program failed, or the lab ended.
    """
    if not isinstance(host, LabHost):
        raise UnfitError("running the direct test: the host is no lab")
    return await count_in_lab(host, WITNESS)


async def run_direct_in_labs(
    arms: Sequence[Arm],
    wanted: DirectTrials,
    confidence: float,
    out: Path,
    *,
    bochs: Bochs,
    parallel: int = 1,
    bar: Bar = no_bar,
    say: Callable[[str], None] = lambda text: None,
    shared_out: bool = False,
) -> DirectResult:
    """Test KVM_SET_LAPIC in every arm, and journal it.

    Args:
        arms: kernels and edits.
        wanted: the trials of each arm.
        confidence: confidence of the intervals.
        out: folder for the journal and the labs' logs.
        bochs: the emulator.
        parallel: labs that run at a time.
        bar: shows the progress of an arm.
        say: is called with each step that takes long.
        shared_out: whether `out` may be a folder that other users can write to.

    Raises:
        NoToolsError: the program can't be built here.
        VariantError: a kernel has no such variant.
        JournalError: the journal can't be written.
    """
    here = await in_thread(read_facts, None, None)
    parts = await in_thread(direct_parts, bochs)
    async with Labs(
        parts, arms, here, out, parallel=parallel, say=say, shared_out=shared_out
    ) as labs:
        subjects = [
            Subject(arm.name, partial(_test, labs, arm, wanted, bar), arm.identity(bochs.origin))
            for arm in arms
        ]
        return await run_direct(
            subjects, confidence, out, parallel, wanted.mode,
            period_ns=wanted.period_ns, shared_out=shared_out,
        )  # fmt: skip


async def _test(labs: Labs, arm: Arm, wanted: DirectTrials, bar: Bar, log: HostLog) -> None:
    """Test one arm."""
    arm_host = ArmHost(labs, arm)
    async with arm_host.open() as host:
        log.came_up(host.facts)
        with bar(arm.name, wanted.total) as progress:
            await count_in_lab(host, wanted, progress, log.counted)
    log.identified(arm_host.identity())
