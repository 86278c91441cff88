"""Tells whether a QEMU that is late waited for a CPU, or is late by itself."""

from orchestrator.host.protocol import QemuProcess

#: Share of the time since QEMU's start for which its threads may wait for a CPU.
MOST_WAITING = 0.2


async def why_waited(process: QemuProcess, passed_ns: int) -> str:
    """Return for how long a QEMU waited for a CPU; empty if that is no reason to be late.

    A QEMU that is stopped, or stuck, waits for no CPU.

    Args:
        process: the QEMU, which still runs.
        passed_ns: time since its start, by the host's clock.
    """
    waited_ns = await process.waited_ns(())
    if waited_ns < max(1, MOST_WAITING * passed_ns):
        return ""
    return (
        f"QEMU's threads waited {waited_ns / 1e9:.1f} s for a CPU in the "
        f"{passed_ns / 1e9:.1f} s since its start"
    )
