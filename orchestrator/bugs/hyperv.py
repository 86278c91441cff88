"""Hyper-V enlightenments of a CPU model: what they change for a bug of APICv."""

from orchestrator.timers.registry import TIMERS

#: Enlightenments with which KVM inhibits APICv for a guest: always before 5.15, and since then
#: (0f250a646382) while the guest uses AutoEOI. `hv-passthrough` turns on all that the host has.
INHIBITING = frozenset({"hv-synic", "hv-passthrough"})


def enlightenments(cpu: str) -> tuple[str, ...]:
    """Return the Hyper-V enlightenments that a CPU model with features turns on.

    Args:
        cpu: as QEMU's `-cpu` takes it. QEMU knows each name with `-` and with `_`.
    """
    found = []
    for feature in cpu.split(",")[1:]:
        name, _, value = feature.removeprefix("+").replace("_", "-").partition("=")
        if name.startswith("hv-") and value not in ("off", "false", "no"):
            found.append(name)
    return tuple(found)


def ticks_by_stimer(timer: str | None) -> bool:
    """Return whether a guest with this timer ticks by the hv-stimer, as a Windows guest does."""
    if timer is None or timer not in TIMERS.names:
        return False
    return "hv-stimer" in TIMERS[timer].cpu_features.split(",")
