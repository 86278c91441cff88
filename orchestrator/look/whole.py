"""Judges a virtual machine by the conditions of its vCPUs, and says what would help."""

from collections.abc import Sequence
from dataclasses import replace

from orchestrator.bugs.catalogue import APICV_BUG
from orchestrator.bugs.exposure import ExposureState
from orchestrator.look.judge import judge_vcpu
from orchestrator.look.look import Condition, Look, VcpuLook
from orchestrator.look.readings import Setting, VcpuReadings

#: Run states in which QEMU has given the guest up.
GIVEN_UP = {
    "internal-error": "KVM or QEMU met something that it cannot run",
    "io-error": "a disk failed or is full, and QEMU waits until it works again",
    "guest-panicked": "the guest's own kernel says that it has panicked",
    "shutdown": "the guest has shut down",
    "watchdog": "the guest's watchdog expired",
}

#: Run states in which somebody asked QEMU not to let the guest run.
PAUSED = {
    "paused", "prelaunch", "preconfig", "inmigrate", "finish-migrate", "postmigrate", "save-vm",
    "restore-vm", "debug", "colo", "suspended",
}  # fmt: skip

_RESET = (
    "A reset (`system_reset` in QEMU's monitor, `virsh reset`) or a new start without the "
    "snapshot brings the guest up again; what it had not written to its disks is lost."
)
_SNAPSHOT_STAYS = (
    "The snapshot itself is not damaged. To load the snapshot without a freeze, load it on a "
    "host without the bug. " + APICV_BUG.advice
)
_NOT_FROM_OUTSIDE = (
    "No input, NMI, pause or further load on this host revives a guest that lost its timer: only "
    "the guest itself could arm it again."
)
_PROOF = (
    "A look shows a resemblance. `losttick run` shows whether this host's kernel has the bug, and "
    "`losttick attach --loads` whether loads freeze this guest."
)


def judge(readings: Sequence[VcpuReadings], setting: Setting) -> Look:
    """Return the condition of a virtual machine and of each of its vCPUs.

    A vCPU that is halted is called frozen only if no other vCPU is alive: an old Linux guest
    leaves an expired timer behind when it has nothing to wait for; newer ones mask it (the APIC's
    `set_state_oneshot_stopped`).
    """
    if setting.run_state not in (None, "running"):
        return _stopped(setting.run_state or "", readings, setting)
    vcpus = [judge_vcpu(read, setting) for read in readings]
    if any(vcpu.condition is Condition.ALIVE for vcpu in vcpus) and not setting.seen_frozen:
        vcpus = [_beside_living(vcpu) for vcpu in vcpus]
    condition, why = _together(vcpus)
    return Look(
        condition,
        why,
        vcpus,
        revive(condition),
        setting.exposure,
        _caveats(condition, vcpus, setting),
    )


def _beside_living(vcpu: VcpuLook) -> VcpuLook:
    if not (vcpu.condition.frozen and vcpu.idle):
        return vcpu
    why = (
        f"{vcpu.why}. While other vCPUs are alive, that is also how an old guest leaves a vCPU "
        "that has nothing to do"
    )
    return replace(vcpu, condition=Condition.UNKNOWN, why=why)


def _together(vcpus: Sequence[VcpuLook]) -> tuple[Condition, str]:
    """Return the condition that the vCPUs have together, and its grounds."""
    for condition in (Condition.FROZEN_BY_BUG, Condition.FROZEN_OTHERWISE):
        if found := [vcpu for vcpu in vcpus if vcpu.condition is condition]:
            names = ", ".join(str(vcpu.vcpu) for vcpu in found)
            return condition, f"vCPU {names}: {found[0].why}"
    if vcpus and all(vcpu.parked for vcpu in vcpus):
        return Condition.FROZEN_OTHERWISE, (
            "every vCPU is halted with interrupts off: no interrupt can wake this guest, which "
            "has given up or was never started"
        )
    alive = [vcpu for vcpu in vcpus if vcpu.condition is Condition.ALIVE]
    open_to_doubt = [vcpu for vcpu in vcpus if vcpu.condition is Condition.UNKNOWN]
    if alive and all(vcpu.idle for vcpu in open_to_doubt):
        first = alive[0]
        return Condition.ALIVE, f"vCPU {first.vcpu}: {first.why}"
    if not vcpus:
        return Condition.UNKNOWN, "its vCPUs are not known"
    first = next(vcpu for vcpu in open_to_doubt if not (alive and vcpu.idle))
    return Condition.UNKNOWN, f"vCPU {first.vcpu}: {first.why}"


def _stopped(state: str, readings: Sequence[VcpuReadings], setting: Setting) -> Look:
    """Judge a virtual machine whose vCPUs QEMU does not let run."""
    if state in GIVEN_UP:
        condition, why = Condition.FROZEN_OTHERWISE, f"QEMU says {state!r}: {GIVEN_UP[state]}"
        helps = [
            "Make room on the disk or repair it, then continue the guest (`cont`, `virsh resume`)."
            if state == "io-error"
            else _RESET
        ]
    elif state not in PAUSED:
        condition, why = Condition.UNKNOWN, f"QEMU is in a run state that nobody knows: {state!r}"
        helps = []
    else:
        condition, why = Condition.PAUSED, f"QEMU says {state!r}: it does not let the guest run"
        helps = ["Continue the guest: `cont` in QEMU's monitor, or `virsh resume DOMAIN`."]
    vcpus = [VcpuLook(read.vcpu, condition, "no vCPU runs in this state") for read in readings]
    return Look(condition, why, vcpus, helps, setting.exposure)


def revive(condition: Condition) -> Sequence[str]:
    """Return sentences that say what helps in a condition; empty for a guest that is alive."""
    match condition:
        case Condition.FROZEN_BY_BUG:
            return (_NOT_FROM_OUTSIDE, _RESET, _SNAPSHOT_STAYS, _PROOF)
        case Condition.FROZEN_OTHERWISE:
            return (_RESET,)
        case Condition.UNKNOWN:
            return (
                "Give the guest something to do (a key, a ping, its console), and look again: a "
                "frozen guest does not answer.",
            )
    return ()


def _caveats(condition: Condition, vcpus: Sequence[VcpuLook], setting: Setting) -> Sequence[str]:
    """Return what the grounds of an answer cannot carry."""
    if condition is not Condition.FROZEN_BY_BUG:
        return ()
    found = []
    if setting.exposure.state is ExposureState.UNKNOWN:
        found.append(f"Whether this host could show the bug is not known: {setting.exposure.why}.")
    frozen = [vcpu for vcpu in vcpus if vcpu.condition is Condition.FROZEN_BY_BUG]
    if all(vcpu.idle for vcpu in frozen):
        found.append(
            "An old Linux guest that has nothing at all to do looks like this, too: it "
            "still answers a key or a ping, and a frozen guest does not."
        )
    found.append(
        "Only a load of a snapshot or a migration makes this bug strike. A guest that forgot by "
        "itself to arm its timer looks the same from outside."
    )
    return found
