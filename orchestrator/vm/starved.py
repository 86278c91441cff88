"""Tells a guest that is silent by itself from one whose host is too busy to let it run."""

from orchestrator.errors import TransientError
from orchestrator.host.protocol import QemuProcess
from orchestrator.host.waits import why_waited
from orchestrator.vm.qemu import InstanceFacts

#: Least share of this time for which a vCPU that does not sleep must have run.
LEAST_RUNNING = 0.5


class GuestStarvedError(TransientError):
    """The guest said nothing in time, and hardly ran in this time: nothing is known of it."""

    def __init__(self, doing: str, why: str) -> None:
        super().__init__(f"{doing}, and {why}. Run it again while the host is less busy")


async def why_starved(process: QemuProcess, facts: InstanceFacts, passed_ns: int) -> str:
    """Return how the host kept a QEMU from running; empty if it did not.

    A thread that waits at this moment has not been counted as waiting yet, so its CPU time
    tells.

    Args:
        process: the QEMU.
        facts: its threads.
        passed_ns: time since its start, by the host's clock.
    """
    try:
        if waited := await why_waited(process, passed_ns):
            return waited
        for thread in facts.vcpu_threads:
            ran_ns = await process.vcpu_cpu_ns(thread)
            sleeps = await process.vcpu_run_delay_ns(thread) is not None
            if not sleeps and ran_ns < LEAST_RUNNING * passed_ns:
                return (
                    f"its vCPU got {ran_ns / 1e9:.1f} s of CPU time in the "
                    f"{passed_ns / 1e9:.1f} s since QEMU's start"
                )
    except ProcessLookupError:
        return ""  # QEMU has ended, which others report
    return ""
