"""Examines what a test of the Android Emulator needs: the SDK, a virtual device, and KVM."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.android.emulator import Emulator
from orchestrator.android.errors import NoEmulatorError
from orchestrator.android.running import Running, running
from orchestrator.android.sdk import KVM_ARCHES, Avd, Sdk, read_ini
from orchestrator.android.vcpus import Vcpus, read_vcpus
from orchestrator.bugs.catalogue import APICV_BUG
from orchestrator.bugs.exposure import Exposure, exposure
from orchestrator.doctor.examine import kvm_finding
from orchestrator.doctor.findings import Checkup, Finding, Mend
from orchestrator.doctor.mends import install
from orchestrator.host.local_facts import read_facts
from orchestrator.host.qemu_binary import DEFAULT_QEMU
from orchestrator.process.background import in_thread
from orchestrator.process.exit import ProcessExit
from orchestrator.vm.config import Accel

#: A system image whose guest runs under KVM, as the SDK names it.
_IMAGE = "system-images;android-34;google_apis;x86_64"

_GET_EMULATOR = Mend(
    ("sdkmanager", "emulator", "platform-tools", _IMAGE), safe=False,
    then="or install the emulator in Android Studio (Tools, SDK Manager, SDK Tools)",
)  # fmt: skip

_GET_AVD = Mend(
    ("avdmanager", "create", "avd", "--name", "phone", "--package", _IMAGE), safe=False,
    then="or create a virtual device in Android Studio (Tools, Device Manager)",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class AndroidCheckup(Checkup):
    """Everything that `losttick android` needs."""

    @property
    def usable(self) -> bool:
        """True if `losttick android` can test an emulator here."""
        return all(each.good for each in self.findings if each.allows_verdict)


async def examine_android(sdk: Sdk) -> AndroidCheckup:
    """Look at this computer, without starting an emulator."""
    facts = await in_thread(read_facts, None, None)
    exposed = exposure(facts, Accel.KVM, None)
    avds, run = sdk.avds(), running(sdk)
    findings = [
        _tool(sdk, "emulator", _GET_EMULATOR),
        _tool(sdk, "adb", install("adb")),
        avd_finding(sdk, avds),
        _needed(kvm_finding(facts)),
        _qemu(),
        await timer_finding(run),
        exposure_finding(exposed),
    ]
    return AndroidCheckup(facts, exposed, tuple(findings))


def _needed(finding: Finding) -> Finding:
    return Finding(finding.subject, finding.good, finding.seen, finding.mend, allows_verdict=True)


def _tool(sdk: Sdk, name: str, mend: Mend) -> Finding:
    try:
        found = sdk.find(name)
    except NoEmulatorError as error:
        return _needed(Finding(name, False, f"not in {' or '.join(error.looked)}", mend))
    version = read_ini(found.parent / "source.properties").get("Pkg.Revision", "")
    seen = f"{version}, {found}" if version else str(found)
    return _needed(Finding(name, True, seen))


def avd_finding(sdk: Sdk, avds: Sequence[Avd]) -> Finding:
    """Return whether there is a virtual device whose guest runs under KVM."""
    if not avds:
        return _needed(Finding("AVDs", False, f"none in {sdk.avd_folder}", _GET_AVD))
    fit = [each for each in avds if each.arch in (*KVM_ARCHES, "")]
    shown = ", ".join(f"{each.name} ({each.arch or 'unknown processor'})" for each in avds)
    if not fit:
        seen = f"{shown}: none has an x86 image, and only those run under KVM"
        return _needed(Finding("AVDs", False, seen, _GET_AVD))
    return _needed(Finding("AVDs", True, shown))


def _qemu() -> Finding:
    if found := shutil.which(DEFAULT_QEMU):
        return Finding("QEMU", True, f"{found}, to test the kernel itself")
    return Finding(
        "QEMU", False, "not installed: the kernel itself can't be tested",
        install("qemu-system-x86", "qemu-utils"),
    )  # fmt: skip


async def timer_finding(emulators: Sequence[Running]) -> Finding:
    """Return whether Android uses the timer that the bug strikes, if a running emulator tells."""
    subject = "Android's timer"
    for each in emulators:
        qmp = Path(each.qmp) if each.qmp else None
        asked = await read_vcpus(Emulator(each.avd, each.port, qmp, _never, owned=False))
        if isinstance(asked, Vcpus) and asked.timers:
            hidden = not any(APICV_BUG.strikes(timer) for timer in asked.timers)
            what = "hides the bug" if hidden else "can show the bug"
            timers = ", ".join(dict.fromkeys(asked.timers))
            return Finding(subject, not hidden, f"{each.avd} uses {timers}, which {what}")
    return Finding(
        subject, True,
        "`losttick android` reads it from the running guest: newer emulators give Android a "
        "TSC-deadline timer, which hides the bug",
    )  # fmt: skip


async def _never() -> ProcessExit | None:
    return None


def exposure_finding(exposed: Exposure) -> Finding:
    """Return whether the bug could strike here; a computer that is spared needs no mend."""
    return Finding("exposure", True, f"{exposed.state}: {exposed.why}")
