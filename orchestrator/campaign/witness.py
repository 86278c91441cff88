"""Asks the direct test about a cell, where no trace of the kernel has told."""

from collections.abc import Awaitable, Callable

from orchestrator.bugs.catalogue import APICV_BUG
from orchestrator.bugs.exposure import ExposureState, exposure
from orchestrator.errors import LosttickError
from orchestrator.findings.outcome import Outcome
from orchestrator.findings.series import DirectCounts
from orchestrator.findings.witness import TraceReading
from orchestrator.host.facts import HostFacts
from orchestrator.host.protocol import Host
from orchestrator.journal.counts import CellState
from orchestrator.journal.records import WitnessRecord

#: Runs a short direct test on a host. Errors mean that the test is not possible there.
Ask = Callable[[Host], Awaitable[DirectCounts]]


def wants_witness(counts: CellState, facts: HostFacts) -> bool:
    """Return whether the direct test could tell more about a cell.

    It can if the host could show the known bug, and either a loss looks like the bug and no
    trace says how it came about, or the first ticks are those of kernels that may have the
    narrow race, which no load by QEMU can show.
    """
    cell = counts.cell
    exposed = exposure(facts, cell.accel, cell.mode, cell.irqchip, cpu=cell.cpu).state
    if counts.direct_test is not None or not APICV_BUG.strikes(cell.mode):
        return False
    if counts.bug_losses:
        told = counts.traced[TraceReading.VANISHED] + counts.traced[TraceReading.NEVER]
        return exposed is not ExposureState.NOT_EXPOSED and not told
    old = counts.outcomes[Outcome.FULL_PERIOD] > counts.trials / 2
    return exposed is ExposureState.EXPOSED and old


async def ask_witness(host: Host, cell: str, ask: Ask | None) -> WitnessRecord:
    """Run the direct test, and return what the journal notes of it."""
    if ask is None:
        return WitnessRecord(cell, failure="it can't be run on this host")
    try:
        return WitnessRecord(cell, await ask(host))
    except LosttickError as error:
        return WitnessRecord(cell, failure=str(error))
