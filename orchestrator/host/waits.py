"""Tells whether a process that is late waited for a CPU, or is late by itself."""

import time

from orchestrator.host.protocol import QemuProcess
from orchestrator.host.thread_times import waited_ns

#: Share of the time for which the threads of a process that is late may wait for a CPU.
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


class Waits:
    """Counts for how long a process of this computer has waited for a CPU."""

    def __init__(self, pid: int) -> None:
        """Begin to count for this process."""
        self._pid = pid
        self.restart()

    def restart(self) -> None:
        """Count anew, from now on."""
        self._began_ns = time.monotonic_ns()
        self._before_ns = waited_ns(self._pid, ())

    def excuse(self) -> str:
        """Return how long it waited, and what to do; empty if that is no reason to be late.

        A process that is stopped, or sleeps, waits for no CPU.
        """
        passed_ns = time.monotonic_ns() - self._began_ns
        late_ns = waited_ns(self._pid, ()) - self._before_ns
        if late_ns < max(1, MOST_WAITING * passed_ns):
            return ""
        return (
            f" (it waited for a CPU for {late_ns / 1e9:.1f} of {passed_ns / 1e9:.1f} s). "
            "Run it while this computer is less busy"
        )
