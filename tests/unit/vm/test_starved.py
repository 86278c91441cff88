"""A guest that is silent because its host is busy, and one that is silent by itself."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import cast

import pytest

from orchestrator.host.protocol import QemuProcess
from orchestrator.vm.qemu import InstanceFacts
from orchestrator.vm.starved import why_starved

S = 1_000_000_000
FACTS = InstanceFacts((), (7,), (None,))


@dataclass
class Threads:
    """The thread times of a QEMU with one vCPU."""

    ran_ns: int
    waited: int = 0
    sleeps: bool = False

    async def waited_ns(self, besides: Collection[int]) -> int:
        assert not besides, "the vCPU's waits count as well"
        return self.waited

    async def vcpu_cpu_ns(self, thread_id: int) -> int:
        assert thread_id == 7
        return self.ran_ns

    async def vcpu_run_delay_ns(self, thread_id: int) -> int | None:
        return self.waited if self.sleeps else None


@pytest.mark.parametrize(
    ("threads", "why"),
    [
        (Threads(10 * S), ""),
        (Threads(9 * S, waited=1 * S), ""),
        (Threads(0, sleeps=True), ""),  # it halts, and nothing wakes it
        (Threads(7 * S, waited=3 * S), "QEMU's threads waited 3.0 s for a CPU in the 10.0 s"),
        # It has waited all the time, and the kernel counts a wait only when it is over.
        (Threads(1 * S), "its vCPU got 1.0 s of CPU time in the 10.0 s since QEMU's start"),
    ],
)
async def test_a_busy_host_is_told_from_a_guest_that_hangs(threads: Threads, why: str) -> None:
    found = await why_starved(cast(QemuProcess, threads), FACTS, 10 * S)
    assert found.startswith(why)
    assert bool(found) is bool(why)
