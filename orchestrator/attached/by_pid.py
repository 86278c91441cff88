"""Looks at a QEMU by its process alone: without a monitor there is less to see."""

import asyncio
import re
from collections.abc import Sequence
from pathlib import Path

from orchestrator.attached.errors import TargetError
from orchestrator.attached.target import command_line
from orchestrator.bugs.exposure import exposure
from orchestrator.clock import Clock
from orchestrator.host.facts import HostFacts
from orchestrator.look.counters import read_debugfs, shared
from orchestrator.look.look import Look
from orchestrator.look.readings import Setting, VcpuReadings, Window
from orchestrator.look.threads import LocalThreads, slept, starved
from orchestrator.look.whole import judge
from orchestrator.vm.config import Accel

#: The name of a vCPU's thread, where QEMU names its threads.
_NAMED = re.compile(r"CPU (\d+)/(KVM|TCG)\s*")

#: `ioctl` and KVM_RUN, as /proc's file `syscall` has them.
_KVM_RUN = re.compile(r"16 0x[0-9a-f]+ 0xae80 ")


async def look_at_process(pid: int, facts: HostFacts, clock: Clock, window_ns: int) -> Look:
    """Look at the vCPU threads of a process.

    Args:
        pid: QEMU's process.
        facts: this computer.
        clock: its clock.
        window_ns: how long to look.

    Raises:
        TargetError: there is no such process, it is no QEMU, or its vCPUs are not known.
    """
    doing = f"looking at the process {pid}"
    argv, found = await asyncio.to_thread(_process, pid)
    if not argv or not _is_qemu(argv):
        raise TargetError(f"{doing}: there is no such process, or it is no QEMU")
    kvm = any("kvm" in word for word in argv)
    if not found:
        raise TargetError(f"{doing}: nothing says which of its threads are vCPUs. {_better(argv)}")
    threads = LocalThreads(pid)
    began_ns = clock.now_ns()
    before = [await threads.times(thread) for thread in found]
    total = await asyncio.to_thread(read_debugfs, pid)
    await clock.sleep(window_ns)
    after = [await threads.times(thread) for thread in found]
    later = await asyncio.to_thread(read_debugfs, pid)
    ns = max(1, clock.now_ns() - began_ns)
    counters = shared(later.since(total), len(found)) if total and later else None
    readings = [
        VcpuReadings(
            vcpu,
            (
                Window(
                    ns,
                    counters,
                    cpu_ns=last.cpu_ns - first.cpu_ns,
                    switches=(last.switches or 0) - (first.switches or 0),
                    slept=slept(first, last, ns),
                    starved=starved(first, last, ns),
                ),
            )
            if first and last
            else (),
            began_ns=began_ns,
        )
        for vcpu, (first, last) in enumerate(zip(before, after, strict=True))
    ]
    exposed = exposure(facts, Accel.KVM if kvm else Accel.TCG, None)
    seen = judge(readings, Setting(exposed, run_state=None, lapic_is_qemus=not kvm))
    caveats = (*seen.caveats, "Without QEMU's monitor nobody sees the vCPUs' LAPICs, nor whether "
               f"QEMU has paused the guest. {_better(argv)}")  # fmt: skip
    return Look(
        seen.condition,
        seen.why,
        seen.vcpus,
        seen.revive,
        exposed,
        caveats,
        seconds=ns / 1e9,
        pid=pid,
    )


def _process(pid: int) -> tuple[Sequence[str], Sequence[int]]:
    return command_line(pid), vcpu_threads(pid)


def vcpu_threads(pid: int) -> Sequence[int]:
    """Return the threads of the vCPUs, in their order where QEMU names them.

    QEMU names its threads with `-name debug-threads=on`, as libvirt starts it. Else a thread that
    waits in KVM_RUN at this moment is one, if its owner or root asks.
    """
    named, running = {}, []
    for task in sorted(Path(f"/proc/{pid}/task").glob("[0-9]*"), key=lambda each: int(each.name)):
        try:
            if words := _NAMED.fullmatch((task / "comm").read_text(errors="replace")):
                named[int(words[1])] = int(task.name)
            elif _KVM_RUN.match((task / "syscall").read_text(errors="replace")):
                running.append(int(task.name))
        except (OSError, ValueError):
            continue
    return [named[number] for number in sorted(named)] or running


def _is_qemu(argv: Sequence[str]) -> bool:
    # A dynamic loader or another program may run it.
    names = [Path(word).name for word in argv[:4]]
    return any(name.startswith("qemu-") or name == "kvm" for name in names)


def _better(argv: Sequence[str]) -> str:
    """Return what shows more, if the command line says where QEMU's monitor is."""
    for word in argv:
        if found := re.match(r"unix:([^,]+)", word):
            return f"`losttick attach --qmp {found[1]}` would see more, if that is its QMP socket."
    return (
        "`losttick attach --qmp SOCKET` or `--libvirt DOMAIN` would see more, if QEMU has such a "
        "monitor."
    )
