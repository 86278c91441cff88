"""Takes the readings of a look, from the least to the most invasive.

KVM's counters and the threads' times come first: they change nothing in the guest. `info lapic`
and `info registers` follow. They stop a vCPU for a moment and read its state, which no guest that
was measured notices.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from orchestrator.bugs.exposure import Exposure
from orchestrator.guest.lapic import Lapic, Registers, parse_lapic, parse_registers
from orchestrator.look.counters import read_counters, read_debugfs, shared
from orchestrator.look.judge import LEAST_SLEEP_NS, SLACK_NS, judge_vcpu
from orchestrator.look.look import Condition, Look
from orchestrator.look.readings import (
    Counters,
    Glance,
    Setting,
    ThreadTimes,
    VcpuReadings,
    Window,
)
from orchestrator.look.threads import Threads, slept, starved
from orchestrator.look.whole import judge
from orchestrator.qmp.answers import CpuInfoFast, KvmInfo, StatusInfo, VersionInfo
from orchestrator.qmp.commands import Commands
from orchestrator.qmp.errors import AnswerError, CommandFailedError

#: Time for which nothing is touched before the first glance.
WINDOW_NS = 3_000_000_000

#: Longest time between the first and the last glance: a look takes 10 s at most.
MOST_GAP_NS = 5_500_000_000

#: Shortest such time.
LEAST_GAP_NS = 300_000_000

#: Times between the first glances: unequal, so that no period of a guest fits them. A guest that
#: arms its timer by differing numbers shows it in one of them.
_PAUSES_NS = (107_000_000, 173_000_000)

#: `query-stats` and a glance disturb the threads: their times settle after this time.
_SETTLE_NS = 50_000_000


@dataclass(frozen=True, slots=True)
class Watched:
    """A QEMU that is looked at."""

    monitor: Commands
    vcpus: Sequence[CpuInfoFast]
    threads: Threads | None = None
    """None if its threads cannot be seen from here."""
    pid: int | None = None
    """Its process on this computer; None if that is not known."""
    kvm: bool = True
    version: str | None = None


async def watched(
    monitor: Commands, threads: Threads | None = None, pid: int | None = None
) -> Watched:
    """Ask a QEMU what it is.

    Raises:
        MonitorError: QEMU did not answer.
    """
    vcpus = await monitor.ask("query-cpus-fast", list[CpuInfoFast])
    kvm = (await monitor.ask("query-kvm", KvmUse)).enabled
    version = (await monitor.ask("query-version", VersionInfo)).qemu
    return Watched(monitor, vcpus, threads, pid, kvm, str(version))


@dataclass(frozen=True, slots=True)
class KvmUse(KvmInfo):
    """`query-kvm`, with the accelerator in use."""

    enabled: bool = False


async def run_state(monitor: Commands) -> str:
    """Return QEMU's run state, such as `running`.

    Raises:
        MonitorError: QEMU did not answer.
    """
    return (await monitor.ask("query-status", StatusInfo)).status


async def look(
    qemu: Watched,
    exposure: Exposure,
    *,
    window_ns: int = WINDOW_NS,
    most_gap_ns: int = MOST_GAP_NS,
    lapic_is_qemus: bool | None = None,
    paravirtual: bool = False,
    seen_frozen: bool = False,
) -> Look:
    """Look at a running QEMU, without stopping, saving or loading anything.

    Args:
        qemu: the QEMU, by `watched`.
        exposure: whether its host could show the APICv bug in its guests.
        window_ns: how long to count before the LAPICs are looked at.
        most_gap_ns: longest time between the first and the last look at the LAPICs.
        lapic_is_qemus: whether QEMU emulates the LAPIC; by default, whether it runs without KVM.
        paravirtual: whether KVM's back end makes exits of its own, as `kvm_pvm` does.
        seen_frozen: whether somebody saw otherwise that the guest has stopped. The counters then
            decide nothing, and the LAPICs name the freeze.

    Raises:
        MonitorError: QEMU did not answer.
    """
    clock = qemu.monitor.clock
    began_ns = clock.now_ns()
    setting = Setting(
        exposure,
        await run_state(qemu.monitor),
        not qemu.kvm if lapic_is_qemus is None else lapic_is_qemus,
        paravirtual,
        seen_frozen,
    )
    readings = [VcpuReadings(vcpu, began_ns=began_ns) for vcpu in range(len(qemu.vcpus))]
    if setting.run_state == "running":
        readings = await _readings(qemu, readings, setting, window_ns, most_gap_ns)
        setting = replace(setting, run_state=await run_state(qemu.monitor))
    found = judge(readings, setting)
    seconds = (clock.now_ns() - began_ns) / 1e9
    return replace(found, seconds=seconds, qemu=qemu.version, pid=qemu.pid)


async def _readings(
    qemu: Watched,
    readings: Sequence[VcpuReadings],
    setting: Setting,
    window_ns: int,
    most_gap_ns: int,
) -> list[VcpuReadings]:
    clock = qemu.monitor.clock
    took = [await take_window(qemu, window_ns)]
    glances = [await glance(qemu)]
    gap_ns = _gap_ns(_put(readings, took, glances), setting, most_gap_ns)
    for pause_ns in _PAUSES_NS:
        await clock.sleep(pause_ns)
        glances.append(await glance(qemu))
    took.append(await take_window(qemu, max(LEAST_GAP_NS, gap_ns - sum(_PAUSES_NS))))
    glances.append(await glance(qemu))
    return _put(readings, took, glances)


def _put(
    readings: Sequence[VcpuReadings],
    windows: Sequence[Sequence[Window]],
    glances: Sequence[Sequence[Glance]],
) -> list[VcpuReadings]:
    """Return the readings of each vCPU with what was read of all of them."""
    return [
        replace(
            read,
            windows=[each[read.vcpu] for each in windows],
            glances=[each[read.vcpu] for each in glances],
        )
        for read in readings
    ]


def _gap_ns(readings: Sequence[VcpuReadings], setting: Setting, most_ns: int) -> int:
    """Return how long to wait until the LAPICs are looked at for the last time.

    Until then the timer of each silent vCPU has expired, and a halted one has slept for long
    enough, if this can be had in a look's time.
    """
    gap_ns = LEAST_GAP_NS
    for read in readings:
        if judge_vcpu(read, setting).condition is Condition.ALIVE:
            continue
        last = read.glances[-1]
        armed_ns = (last.lapic.armed_ns if last.lapic else None) or 0
        halted = last.registers is not None and last.registers.halted
        needed_ns = max(armed_ns + SLACK_NS, LEAST_SLEEP_NS * halted) + SLACK_NS
        needed_ns -= last.at_ns - read.began_ns
        gap_ns = max(gap_ns, needed_ns)
    return min(gap_ns, max(most_ns, LEAST_GAP_NS))


@dataclass(frozen=True, slots=True)
class OpenWindow:
    """The readings at the beginning of a window."""

    at_ns: int
    counters: Sequence[Counters | None] = ()
    together: Counters | None = None
    """The counters of all vCPUs together, where QEMU has none of each."""
    times: Sequence[ThreadTimes | None] = field(default_factory=list)


async def take_window(qemu: Watched, ns: int) -> list[Window]:
    """Return how each vCPU spent a span of time, in which nobody touches it.

    Raises:
        MonitorError: QEMU did not answer.
    """
    opened = await open_window(qemu)
    await qemu.monitor.clock.sleep(ns)
    return await close_window(qemu, opened)


async def open_window(qemu: Watched) -> OpenWindow:
    """Begin a window.

    Raises:
        MonitorError: QEMU did not answer.
    """
    counters = await _counters(qemu)
    await qemu.monitor.clock.sleep(_SETTLE_NS)
    times = await _times(qemu)
    return OpenWindow(qemu.monitor.clock.now_ns(), counters, await _together(qemu, counters), times)


async def close_window(qemu: Watched, opened: OpenWindow) -> list[Window]:
    """End a window; return how each vCPU spent it.

    Raises:
        MonitorError: QEMU did not answer.
    """
    times = await _times(qemu)
    ns = max(1, qemu.monitor.clock.now_ns() - opened.at_ns)
    together = await _together(qemu, opened.counters)
    counters = await _counters(qemu)
    counts = [
        after.since(before) if before and after else None
        for before, after in zip(opened.counters, counters, strict=True)
    ]
    if opened.together and together:
        each = shared(together.since(opened.together), len(counts))
        counts = [each] * len(counts)
    return [
        _window(ns, count, before, after)
        for count, before, after in zip(counts, opened.times, times, strict=True)
    ]


def _window(
    ns: int, counters: Counters | None, before: ThreadTimes | None, after: ThreadTimes | None
) -> Window:
    if before is None or after is None:
        return Window(ns, counters)
    known = before.switches is not None and after.switches is not None
    return Window(
        ns,
        counters,
        cpu_ns=after.cpu_ns - before.cpu_ns,
        switches=(after.switches or 0) - (before.switches or 0) if known else None,
        slept=slept(before, after, ns),
        starved=starved(before, after, ns),
    )


async def _counters(qemu: Watched) -> Sequence[Counters | None]:
    if not qemu.kvm:
        return [None] * len(qemu.vcpus)
    return await read_counters(qemu.monitor, [vcpu.qom_path for vcpu in qemu.vcpus])


async def _together(qemu: Watched, counters: Sequence[Counters | None]) -> Counters | None:
    if qemu.pid is None or not qemu.kvm or any(counters):
        return None
    return await asyncio.to_thread(read_debugfs, qemu.pid)


async def _times(qemu: Watched) -> Sequence[ThreadTimes | None]:
    if qemu.threads is None:
        return [None] * len(qemu.vcpus)
    return [await qemu.threads.times(vcpu.thread_id) for vcpu in qemu.vcpus]


async def glance(qemu: Watched) -> list[Glance]:
    """Read the LAPIC and the registers of each vCPU.

    Raises:
        MonitorError: QEMU did not answer.
    """
    found = []
    for vcpu in range(len(qemu.vcpus)):
        lapic = await _lapic(qemu.monitor, vcpu)
        registers = await _registers(qemu.monitor, vcpu)
        found.append(Glance(qemu.monitor.clock.now_ns(), lapic, registers))
    return found


async def _lapic(monitor: Commands, vcpu: int) -> Lapic | None:
    try:
        return parse_lapic(await monitor.hmp("info lapic", vcpu=vcpu))
    except (ValueError, AnswerError, CommandFailedError):
        return None


async def _registers(monitor: Commands, vcpu: int) -> Registers | None:
    try:
        return parse_registers(await monitor.hmp("info registers", vcpu=vcpu))
    except (ValueError, AnswerError, CommandFailedError):
        return None
