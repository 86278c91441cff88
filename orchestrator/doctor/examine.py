"""Examines this machine: what can be tested on it, what not and why, and what would mend it."""

import asyncio
import contextlib
import getpass
import grp
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from orchestrator.bugs.exposure import Exposure, ExposureState, exposure, refine
from orchestrator.errors import InfraError, LosttickError
from orchestrator.guest.apic import Apic
from orchestrator.guest.tick.config import GuestConfig
from orchestrator.guest.timer_mode import TimerMode
from orchestrator.host.facts import HostFacts
from orchestrator.host.local import LocalHost
from orchestrator.host.qemu_binary import probe_qemu
from orchestrator.vm.config import Accel, InstanceConfig
from orchestrator.vm.tryout import PERIOD_NS, Tryout, try_out


@dataclass(frozen=True, slots=True)
class Mend:
    """What would change a finding."""

    command: tuple[str, ...]
    safe: bool
    """Whether `doctor --fix` runs it: it only adds what is missing."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    subject: str
    good: bool
    seen: str
    mend: Mend | None = None


@dataclass(frozen=True, slots=True)
class Checkup:
    """All that was found."""

    facts: HostFacts
    exposure: Exposure
    """Of one-shot guests under KVM."""
    findings: tuple[Finding, ...]

    @property
    def usable(self) -> bool:
        """Whether `losttick run` can give a verdict here."""
        return any(f.good and f.subject.startswith(("kvm one-shot", "tcg one-shot"))
                   for f in self.findings)  # fmt: skip


_APT = ("apt-get", "install", "-y", "--no-install-recommends")


async def examine(qemu: str | None = None) -> Checkup:
    """Look at this machine, and try what it is said to do."""
    findings: list[Finding] = []
    host = facts = trace = None
    try:
        host = LocalHost(qemu)
        facts = await host.facts(await probe_qemu(host))
        assert facts.qemu is not None
        findings.append(Finding("QEMU", True, f"{facts.qemu.version}, {facts.qemu.path}"))
    except LosttickError as error:
        mend = Mend((*_APT, "qemu-system-x86", "qemu-utils"), safe=True) if not qemu else None
        findings.append(Finding("QEMU", False, str(error), mend))
    if facts is None:
        facts = await _facts_without_qemu()
    findings.append(_qemu_img())
    findings.append(_kvm_device(facts))
    if host is not None and facts.qemu is not None:
        jobs = facts.qemu.has_snapshot_jobs
        findings.append(
            Finding(
                "snapshot jobs", jobs,
                "snapshot-save and snapshot-load are there" if jobs
                else f"QEMU {facts.qemu.version} lacks them (6.0 on has them): --method hmp works",
            )
        )  # fmt: skip
        for accel in Accel:
            tried, recorded = await _try(host, facts, accel)
            findings.extend(tried)
            trace = recorded if accel is Accel.KVM else trace
    findings.append(_tracefs(facts))
    exposed = refine(exposure(facts, Accel.KVM, TimerMode.ONE_SHOT), trace)
    if facts.kvm_device == "absent":
        exposed = Exposure(ExposureState.NOT_EXPOSED, "there is no /dev/kvm")
    findings.append(_apicv(facts, exposed))
    return Checkup(facts, exposed, tuple(findings))


async def _facts_without_qemu() -> HostFacts:
    from orchestrator.host import tracefs
    from orchestrator.host.local_facts import read_facts

    return await asyncio.to_thread(read_facts, None, tracefs.find())


def _qemu_img() -> Finding:
    found = shutil.which("qemu-img")
    if found:
        return Finding("qemu-img", True, found)
    return Finding(
        "qemu-img", False, "not installed: no disk for the VM state can be made",
        Mend((*_APT, "qemu-utils"), safe=True),
    )  # fmt: skip


def _kvm_device(facts: HostFacts) -> Finding:
    state = facts.kvm_device
    if state == "usable":
        modules = ", ".join(name for name in facts.kvm_modules if name != "kvm")
        return Finding("/dev/kvm", True, f"opens ({modules or 'back end built in or unknown'})")
    if state == "absent":
        vendor = {"GenuineIntel": "kvm_intel", "AuthenticAMD": "kvm_amd"}.get(facts.vendor, "kvm")
        return Finding(
            "/dev/kvm", False,
            "absent: the module is not loaded, or virtualization is off in the firmware setup",
            Mend(("modprobe", vendor), safe=False),
        )  # fmt: skip
    if state != "permission denied":
        return Finding("/dev/kvm", False, state)
    user = os.environ.get("SUDO_USER") or getpass.getuser()
    node = Path("/dev/kvm").stat()
    command: tuple[str, ...] = ("setfacl", "-m", f"u:{user}:rw", "/dev/kvm")
    if node.st_gid and node.st_mode & 0o060 == 0o060:
        with contextlib.suppress(KeyError):
            command = ("usermod", "-aG", grp.getgrgid(node.st_gid).gr_name, user)
    return Finding("/dev/kvm", False, state, Mend(command, safe=False))


async def _try(host: LocalHost, facts: HostFacts, accel: Accel) -> tuple[list[Finding], str | None]:
    """Run the tick guest in each mode; stop at the plainest one if that fails.

    Returns:
        What was found, and what the kernel recorded of the plainest one.
    """
    findings = []
    trace = None
    for mode, apic in [
        (TimerMode.ONE_SHOT, Apic.XAPIC),
        (TimerMode.PERIODIC, Apic.XAPIC),
        (TimerMode.TSC_DEADLINE, Apic.XAPIC),
        (TimerMode.ONE_SHOT, Apic.X2APIC),
    ]:
        if accel is Accel.KVM and facts.kvm_device != "usable":
            tried = Tryout(f"/dev/kvm: {facts.kvm_device}")
        else:
            guest = GuestConfig(mode=mode, apic=apic, period_ns=PERIOD_NS)
            tried = await try_out(host, InstanceConfig(accel, guest))
        why, trace = tried.why_not, trace or tried.trace
        subject = f"{accel} {mode}" + (f" {apic}" if apic is Apic.X2APIC else "")
        findings.append(Finding(subject, why is None, why or "ticks"))
        if why is not None and (mode, apic) == (TimerMode.ONE_SHOT, Apic.XAPIC):
            break
    return findings, trace


def _tracefs(facts: HostFacts) -> Finding:
    if facts.tracefs:
        return Finding("tracefs", True, f"{facts.tracefs}, with KVM's events")
    if os.geteuid() != 0:
        return Finding("tracefs", False, "only root may read it: no kernel trace in the evidence")
    if Path("/sys/kernel/tracing/instances").exists():
        return Finding("tracefs", False, "mounted, but the kernel has no KVM events in it")
    return Finding(
        "tracefs", False, "not mounted: no kernel trace in the evidence",
        Mend(("mount", "-t", "tracefs", "nodev", "/sys/kernel/tracing"), safe=True),
    )  # fmt: skip


def _apicv(facts: HostFacts, exposed: Exposure) -> Finding:
    mend = None
    if "enable_apicv=N" in exposed.why and "apicv" in facts.vmx_flags:
        reload = "modprobe -r kvm_intel && modprobe kvm_intel enable_apicv=1"
        mend = Mend(("sh", "-c", reload), safe=False)
    return Finding("APICv", exposed.state is ExposureState.EXPOSED, exposed.why, mend)


def fix(checkup: Checkup) -> list[tuple[str, ...]]:
    """Run the mends that only add what is missing; return them.

    Raises:
        FixError: not root, or a command failed.
    """
    mends = list(dict.fromkeys(f.mend for f in checkup.findings if f.mend and f.mend.safe))
    if mends and os.geteuid() != 0:
        raise FixError("mending this host: only root can. Run `sudo losttick doctor --fix`.")
    done = []
    for mend in mends:
        try:
            if mend.command[0] == "apt-get":
                subprocess.run(["apt-get", "-qq", "update"], check=True, stdout=sys.stderr)
            subprocess.run(mend.command, check=True, stdout=sys.stderr)
        except (OSError, subprocess.CalledProcessError) as error:
            raise FixError(f"mending this host: {' '.join(mend.command)}: {error}") from error
        done.append(mend.command)
    return done


class FixError(InfraError):
    """A mend could not be applied."""
