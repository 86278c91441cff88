"""What the Linux guest costs, in CPU time. Run alone on the machine: `tox -e bench`."""

import os
import statistics
import time
from pathlib import Path

import pytest

from orchestrator.attached.disks import BlockInfo
from orchestrator.guest.config import GuestConfig
from orchestrator.guest.linux.guest import LinuxGuest
from orchestrator.guest.linux.initramfs import initramfs
from orchestrator.host.local import open_host
from orchestrator.look.threads import thread_group
from orchestrator.packages.apt import PackagesError
from orchestrator.snapshot.method import Method
from orchestrator.snapshot.table import snapshots
from orchestrator.trial.aim import Saver
from orchestrator.trial.limits import Limits
from orchestrator.trial.load import Trial
from orchestrator.trial.pace import Paces
from orchestrator.vm.config import Accel, InstanceConfig
from orchestrator.vm.instance import Instance
from orchestrator.vm.launch import launch
from tests.support.needs import Need, lacking

pytestmark = [pytest.mark.bench, pytest.mark.timeout(1800)]

STARTS = 5
BLOCKS = 6
LOADS = 25


@pytest.fixture(autouse=True)
def _kernel() -> None:
    try:
        LinuxGuest().prepare()
    except PackagesError as error:
        lacking(Need.PACKAGES, f"a kernel for the guest: {error}")


def machine(period_ms: int) -> InstanceConfig:
    program = LinuxGuest()
    guest = GuestConfig(period_ns=period_ms * 1_000_000)
    return InstanceConfig(Accel.TCG, guest, program, memory_mib=program.least_memory_mib)


def cpu_s(instance: Instance) -> float:
    """Return the CPU time that a QEMU has used since its start."""
    pid = thread_group(instance.facts.vcpu_threads[0])
    times = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return sum(map(int, times)) / os.sysconf("SC_CLK_TCK")


async def test_from_the_start_to_the_first_tick() -> None:
    """Figures to reach: 6 s of CPU time, and an initramfs of 16 kB."""
    took = []
    for _ in range(STARTS):
        async with open_host() as host, launch(host, machine(20)) as instance:
            assert await instance.console.next_line(120_000_000_000)
            took.append(cpu_s(instance))
    took.sort()
    print(
        f"\nfirst tick after {statistics.median(took):.2f} s of QEMU's CPU time (median of "
        f"{STARTS}; {took[0]:.2f} to {took[-1]:.2f}); initramfs of {len(initramfs()):,} bytes"
    )


@pytest.mark.parametrize("period_ms", [20, 60])
async def test_loads_and_the_size_of_a_save(period_ms: int) -> None:
    """Figures to reach: 6 trials per second of CPU time, losttick's included; a save of 55 MiB."""
    config = machine(period_ms)
    limits, paces = Limits(config.guest.period_ns), Paces()
    rates = []
    async with open_host() as host, launch(host, config) as instance:
        method = snapshots(Method.HMP, host.facts.need_qemu())
        began = cpu_s(instance)
        save, _ = await Saver(instance, method, paces, limits).take("bench", 0.5)
        saved_s = cpu_s(instance) - began
        for _ in range(BLOCKS):
            began = cpu_s(instance) + time.process_time()
            for _ in range(LOADS):
                result = await Trial(instance, method, save, paces, limits).run()
                assert result.outcome.ticked, result
            rates.append(LOADS / (cpu_s(instance) + time.process_time() - began))
        drives = await instance.monitor.ask("query-block", list[BlockInfo])
    sizes = [
        found.vm_state_size
        for drive in drives
        if drive.inserted
        for found in drive.inserted.image.snapshots
    ]
    print(
        f"\nperiod {period_ms} ms: {statistics.median(rates):.1f} trials per second of CPU time "
        f"(median of {BLOCKS} blocks of {LOADS}; {min(rates):.1f} to {max(rates):.1f}); aim and "
        f"save took {saved_s:.2f} s of CPU time; a save of {max(sizes) / 2**20:.1f} MiB"
    )
