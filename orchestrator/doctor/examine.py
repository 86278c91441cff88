"""Examines this host: reads its facts, and runs the tick guest in each timer mode."""

import asyncio
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TypeGuard

from orchestrator.bugs.exposure import Exposure, ExposureState, Reason, exposure, read_apicv, refine
from orchestrator.doctor.findings import Checkup, Finding, Mend
from orchestrator.doctor.mends import ENABLE_APICV, MOUNT_TRACEFS, install
from orchestrator.errors import InputError, LosttickError
from orchestrator.guest.apic import Apic
from orchestrator.guest.config import DEFAULT_GUEST, DEFAULT_TIMER, GuestConfig
from orchestrator.guest.registry import GUESTS
from orchestrator.host import tracefs
from orchestrator.host.errors import QemuStartError
from orchestrator.host.facts import HostFacts, QemuFacts
from orchestrator.host.kvm_access import ABSENT, USABLE, access_to_kvm
from orchestrator.host.local import LocalHost, open_host
from orchestrator.host.local_facts import read_facts
from orchestrator.host.qemu_user import QemuUser
from orchestrator.process.toolchain import BuildTool, missing_tools, packages
from orchestrator.vm.config import Accel, InstanceConfig
from orchestrator.vm.tryout import PERIOD_NS, Tryout, try_out

#: Timer and APIC of the plainest guest. If it does not tick, the others are left out.
_PLAINEST = (DEFAULT_TIMER, Apic.XAPIC)


async def examine(qemu: str | None = None, qemu_user: str | None = None) -> Checkup:
    """Look at this host, and try out what it claims to support.

    Args:
        qemu: path or name of the QEMU binary; by default the one on PATH.
        qemu_user: the user as whom QEMU runs; see `open_host`.

    Raises:
        NotQemuError: the named QEMU is not there.
        QemuUserError: QEMU can't run as this user.
    """
    try:
        async with open_host(qemu, qemu_user=qemu_user) as host:
            return await _examine(host)
    except InputError:
        raise
    except LosttickError as error:
        finding = qemu_finding(error, named=qemu is not None)
        facts = await asyncio.to_thread(read_facts, None, tracefs.find())
        return _checkup(facts, [finding, _qemu_img(), kvm_finding(facts)], None)


def qemu_finding(error: LosttickError, *, named: bool) -> Finding:
    """Return why there is no QEMU.

    Args:
        error: raised by `open_host`.
        named: whether the user named the QEMU, so that installing Debian's would not help.
    """
    mend = None if named else install("qemu-system-x86", "qemu-utils")
    command = f" (command line: {' '.join(error.argv)})" if _has_argv(error) else ""
    return Finding("QEMU", False, f"{error}{command}", mend)


def _has_argv(error: LosttickError) -> TypeGuard[QemuStartError]:
    return isinstance(error, QemuStartError) and bool(error.argv)


async def _examine(host: LocalHost) -> Checkup:
    """Examine a host that has a QEMU."""
    facts, trace = host.facts, None
    qemu = facts.need_qemu()
    findings = [
        Finding("QEMU", True, f"{qemu.version}, {qemu.path}"),
        _sandbox(qemu),
        _qemu_user(host.user),
        _qemu_img(),
        kvm_finding(facts),
        Finding(
            "snapshot jobs", qemu.has_snapshot_jobs,
            "QEMU has snapshot-save and snapshot-load" if qemu.has_snapshot_jobs
            else f"QEMU {qemu.version} lacks them (6.0 on has them): --method hmp works",
        ),
    ]  # fmt: skip
    for accel in Accel:
        tried, recorded = await _try(host, accel)
        findings.extend(tried)
        trace = recorded if accel is Accel.KVM else trace
    return _checkup(facts, findings, trace)


def _checkup(facts: HostFacts, findings: list[Finding], trace: str | None) -> Checkup:
    """Add what can be found without a guest."""
    findings.append(_tracefs(facts))
    findings.append(lab_finding(missing_tools()))
    exposed = refine(exposure(facts, Accel.KVM, None), read_apicv(trace) if trace else None)
    if facts.kvm_device == ABSENT:
        exposed = Exposure(ExposureState.NOT_EXPOSED, "there is no /dev/kvm", Reason.NO_KVM)
    findings.append(apicv_finding(facts, exposed))
    return Checkup(facts, exposed, tuple(findings))


def _sandbox(qemu: QemuFacts) -> Finding:
    if qemu.sandbox:
        return Finding("sandbox", True, "QEMU forbids itself system calls that it does not need")
    seen = "this QEMU or this kernel lacks seccomp: QEMU may make any system call"
    return Finding("sandbox", False, seen)


def _qemu_user(user: QemuUser) -> Finding:
    """Return as whom QEMU runs; bad if that is root though nobody asked for it."""
    why = f": {user.why_root}" if user.why_root else ""
    return Finding("QEMU's user", not why, f"QEMU runs as {user.name}{why}")


def _qemu_img() -> Finding:
    if found := shutil.which("qemu-img"):
        return Finding("qemu-img", True, found)
    return Finding(
        "qemu-img", False, "not installed: no disk for the VM state can be made",
        install("qemu-utils"),
    )  # fmt: skip


def kvm_finding(facts: HostFacts) -> Finding:
    """Return whether /dev/kvm can be opened."""
    state = facts.kvm_device
    if state == USABLE:
        modules = ", ".join(name for name in facts.kvm_modules if name != "kvm")
        return Finding("/dev/kvm", True, f"opens ({modules or 'back end built in or unknown'})")
    if state == ABSENT:
        vendor = {"GenuineIntel": "kvm_intel", "AuthenticAMD": "kvm_amd"}.get(facts.vendor, "kvm")
        return Finding(
            "/dev/kvm", False,
            "absent: the module is not loaded, or virtualization is off in the firmware setup",
            Mend(("modprobe", vendor), safe=False),
        )  # fmt: skip
    access = access_to_kvm()
    mend = Mend(access.command, safe=False, then=access.then) if access else None
    return Finding("/dev/kvm", False, f"can't be opened: {state}", mend)


async def _try(host: LocalHost, accel: Accel) -> tuple[list[Finding], str | None]:
    """Run the tick guest in each mode.

    Returns:
        The findings, and the kernel's trace of the first guest.
    """
    findings = []
    trace = None
    timers = [(timer, Apic.XAPIC) for timer in GUESTS[DEFAULT_GUEST].timers]
    for mode, apic in [*timers, (DEFAULT_TIMER, Apic.X2APIC)]:
        if accel is Accel.KVM and host.facts.kvm_device != USABLE:
            tried = Tryout(f"/dev/kvm: {host.facts.kvm_device}")
        else:
            guest = GuestConfig(mode=mode, apic=apic, period_ns=PERIOD_NS)
            tried = await try_out(host, InstanceConfig(accel, guest))
        why, trace = tried.why_not, trace or tried.trace
        first = (mode, apic) == _PLAINEST
        subject = f"{accel} {mode}" + (f" {apic}" if apic is Apic.X2APIC else "")
        # `losttick run` uses TCG by itself only where there is no KVM.
        chosen = accel is (Accel.TCG if host.facts.kvm_device == ABSENT else Accel.KVM)
        findings.append(
            Finding(subject, why is None, why or "ticks", allows_verdict=first and chosen)
        )
        if why is not None and first:
            break
    return findings, trace


def _tracefs(facts: HostFacts) -> Finding:
    if facts.tracefs:
        return Finding("tracefs", True, f"{facts.tracefs}, with KVM's events")
    if os.geteuid() != 0:
        return Finding("tracefs", False, "only root may read it: no kernel trace in the evidence")
    if Path("/sys/kernel/tracing/instances").exists():
        return Finding("tracefs", False, "mounted, but the kernel has no KVM events in it")
    return Finding("tracefs", False, "not mounted: no kernel trace in the evidence", MOUNT_TRACEFS)


def lab_finding(missing: Sequence[BuildTool]) -> Finding:
    """Return whether `losttick lab` and `losttick probe` can build what they need."""
    if not missing:
        return Finding("lab", True, f"can be built ({' '.join(packages())} are installed)")
    names = ", ".join(tool.name for tool in missing)
    return Finding(
        "lab", False, f"can't be built here: not installed: {names}", install(*packages())
    )


def apicv_finding(facts: HostFacts, exposed: Exposure) -> Finding:
    """Return whether APICv is in use, and the mend where the CPU has it but it is off."""
    off = exposed.reason is Reason.APICV_OFF
    mend = ENABLE_APICV if off and "apicv" in facts.vmx_flags else None
    return Finding("APICv", exposed.state is ExposureState.EXPOSED, exposed.why, mend)
