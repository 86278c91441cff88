"""The short direct test that a run asks about its losses."""

from orchestrator.direct.program import build
from orchestrator.direct.run import run_program
from orchestrator.direct.wanted import DirectTrials
from orchestrator.findings.series import DirectCounts
from orchestrator.host.protocol import Host
from orchestrator.process.background import in_thread

#: The counts between 1 ns and 1 ms show the narrow race. On a host with the known bug, this
#: takes some seconds: each loss is 20 ms of silence.
WITNESS = DirectTrials(trials=50, period_ns=4_000_000, tmccts_ns=(0, 1, 100, 1_000, 1_000_000))


async def ask_this_host(host: Host) -> DirectCounts:
    """Run the short direct test on the computer that losttick runs on.

    Raises:
        UnfitError: there is no usable /dev/kvm, or no compiler.
        InfraError: the program failed.
    """
    return await run_program(await in_thread(build), WITNESS)
