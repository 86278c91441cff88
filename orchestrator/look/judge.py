"""Judges a vCPU by the readings of a look. A pure function: readings in, condition out.

A sign of life decides first. Only a vCPU without any sign can be frozen, and only its LAPIC and
its registers can say how: QEMU makes up the current count under KVM, so a LAPIC never shows by
itself whether its timer still runs. The timer of `Lapic.armed_ns` has expired for certain once
the vCPU was silent for longer than that.
"""

from collections.abc import Sequence
from dataclasses import replace

from orchestrator.bugs.exposure import ExposureState
from orchestrator.guest.lapic import Lapic, Registers
from orchestrator.look.look import Condition, VcpuLook
from orchestrator.look.readings import Setting, VcpuReadings, Window

#: Share of the expiries that its timer would have had. A vCPU that shows fewer signs than that
#: does not arm its timer anew.
FEW = 0.05

#: With at least this share, it does.
MANY = 0.5

#: Exits a second by which a vCPU shows life that was never seen halted.
MANY_EXITS = 3

#: Least time for which a halted vCPU must have slept. A Linux guest of a distribution wakes every
#: 4 s to feed its soft-lockup detector, even if it has nothing else to do.
LEAST_SLEEP_NS = 5_000_000_000

#: Time that an expiry may be late.
SLACK_NS = 200_000_000

#: Share of a window in which a thread that runs has run at least.
RAN = 0.2


def judge_vcpu(read: VcpuReadings, setting: Setting) -> VcpuLook:
    """Return the condition of a vCPU of a virtual machine whose run state is `running`."""
    seen = _judge(read, setting)
    lapics = [each.lapic for each in read.glances if each.lapic]
    untouched = replace(read, windows=read.windows[:1])
    late = (
        seen.condition is Condition.ALIVE
        and all(_counted(window) for window in untouched.windows)
        and _quiet(untouched, lapics, setting)
    )
    return replace(seen, late=late, lapic=lapics[-1] if lapics else None)


def _judge(read: VcpuReadings, setting: Setting) -> VcpuLook:
    lapics = [each.lapic for each in read.glances if each.lapic]
    registers = [each.registers for each in read.glances if each.registers]
    if alive := _alive(read, lapics, registers, setting):
        return VcpuLook(read.vcpu, Condition.ALIVE, alive)
    if _starved(read.windows) and not setting.seen_frozen:
        return _unknown(
            read,
            "its thread did not sleep and yet hardly ran: the host is too busy, or somebody "
            "stopped QEMU's process",
        )
    if not lapics or not registers:
        return _unknown(read, _unseen(read.windows))
    if len(lapics) < 2 and not setting.seen_frozen:
        return _unknown(read, "its LAPIC was seen only once, which shows no standstill")
    return _without_sign(read, lapics, registers, setting)


def _alive(
    read: VcpuReadings,
    lapics: Sequence[Lapic],
    registers: Sequence[Registers],
    setting: Setting,
) -> str:
    """Return the signs of life as a clause; empty if there are none."""
    timers = {(each.lvtt, each.tmict, each.divide) for each in lapics}
    if len(timers) > 1:
        return "it armed its timer anew between two looks at its LAPIC"
    if setting.seen_frozen:
        return ""
    for window in read.windows:
        span = f"in {window.ns / 1e9:.1f} s"
        counters = window.counters
        enough = _expiries(window, lapics[-1] if lapics else None, MANY)
        if counters is None:
            if not _ran(window) and (window.switches or 0) > enough:
                return f"its thread woke and went to sleep {window.switches:,} times {span}"
            continue
        if counters.halt_wakeups > 0:
            return f"interrupts woke it from a halt {counters.halt_wakeups:,} times {span}"
        if counters.irq_injections >= enough:
            return f"KVM injected {counters.irq_injections:,} interrupts {span}"
        running = not any(each.halted for each in registers)
        if running:  # what it touches makes it leave the guest now and then, even if it is stuck
            enough = max(enough, MANY_EXITS * window.ns / 1e9)
        stuck = bool(registers) and not any(each.interrupt_flag for each in registers)
        unclear = setting.paravirtual or counters.yields or stuck
        if not unclear and counters.own_exits >= enough:
            return f"it left the guest {counters.own_exits:,} times by itself {span}"
    return ""


def _expiries(window: Window, lapic: Lapic | None, share: float) -> float:
    """Return a share of the expiries that an armed timer has in a window; at least 1."""
    armed_ns = lapic.armed_ns if lapic else None
    return max(1.0, share * window.ns / armed_ns) if armed_ns else 1.0


def _ran(window: Window) -> bool:
    return window.cpu_ns is not None and window.cpu_ns >= RAN * window.ns


def _starved(windows: Sequence[Window]) -> bool:
    return any(window.starved for window in windows)


def _unseen(windows: Sequence[Window]) -> str:
    """Return why a vCPU whose LAPIC was not seen cannot be judged."""
    if windows and all(window.slept for window in windows):
        return "its thread slept all the time: it has nothing to do, or it is frozen"
    if windows and all(_ran(window) for window in windows):
        return "its thread ran all the time, as that of a busy guest and of a frozen one does"
    return "neither its LAPIC nor its registers could be read"


def _unknown(read: VcpuReadings, why: str, *, idle: bool = False, parked: bool = False) -> VcpuLook:
    return VcpuLook(read.vcpu, Condition.UNKNOWN, why, idle, parked)


def _without_sign(
    read: VcpuReadings, lapics: Sequence[Lapic], registers: Sequence[Registers], setting: Setting
) -> VcpuLook:
    """Judge a vCPU that showed no sign of life."""
    halted = all(each.halted for each in registers)
    off = all(not each.interrupt_flag for each in registers)
    if halted and off:
        return _unknown(
            read,
            "it is halted with interrupts off: it was never started, was switched off by its "
            "guest, or its guest has given up",
            idle=True,
            parked=True,
        )
    if not setting.seen_frozen and not _quiet(read, lapics, setting):
        return _unknown(read, "it shows too few signs of life, but more than a frozen vCPU does")
    silent = _silent(read, halted=halted)
    if off:
        return _otherwise(read, f"{silent}, and runs with interrupts off")
    lapic, vector = lapics[-1], lapics[-1].vector
    if all(vector in each.irr for each in lapics):
        held = " because TPR holds it back" if lapic.tpr >> 4 >= vector >> 4 else ""
        return _otherwise(read, f"{silent}, and its timer's interrupt is pending{held}")
    stuck = frozenset.intersection(*(each.isr for each in lapics))
    if any(each >> 4 >= vector >> 4 for each in stuck):
        return _otherwise(
            read, f"{silent}, and the vector {max(stuck):#x} in service holds its timer back"
        )
    return _by_timer(read, lapics, silent, setting, halted=halted)


def _by_timer(
    read: VcpuReadings, lapics: Sequence[Lapic], silent: str, setting: Setting, *, halted: bool
) -> VcpuLook:
    """Judge a silent vCPU that an interrupt of its timer could reach."""
    lapic = lapics[-1]
    mode = lapic.timer or "reserved"
    if not lapic.enabled:
        return _unarmed(read, f"{silent}, and its LAPIC is switched off", setting, halted=halted)
    if lapic.masked:
        return _unarmed(read, f"{silent}, and its timer is masked", setting, halted=halted)
    armed_ns = lapic.armed_ns
    if armed_ns is None:
        what = "no timer is armed" if not lapic.tmict else f"its timer is in {mode} mode"
        if lapic.comes_once:
            return _unarmed(read, f"{silent}, and {what} (TMICT 0)", setting, halted=halted)
        why = f"{silent}, and its timer is in {mode} mode, whose next expiry nobody outside sees"
        return _unarmed(read, why, setting, halted=halted)
    for_ns = _silent_ns(read)
    if not setting.seen_frozen and for_ns < max(armed_ns + SLACK_NS, LEAST_SLEEP_NS * halted):
        return _unknown(
            read,
            f"{silent}, for {for_ns / 1e9:.1f} s: its timer may be armed for "
            f"{armed_ns / 1e9:.1f} s. Look for longer",
            idle=halted,
        )
    timer = (
        f"its {mode} timer (LVTT {lapic.lvtt:#x}, TMICT {lapic.tmict}) expired or never started, "
        "nothing is pending or in service, and interrupts are on"
    )
    if not lapic.comes_once:
        if halted or setting.seen_frozen or setting.exposure.state is ExposureState.NOT_EXPOSED:
            return _otherwise(read, f"{silent}, although {timer}")
        return _unknown(read, f"{silent}; a periodic timer need not show itself to the host")
    if not setting.seen_frozen and not any(_counted(window) for window in read.windows):
        return _unknown(
            read,
            f"{silent}; {timer}. There are no counters that would tell whether it armed the timer "
            "anew by the same number",
        )
    if setting.lapic_is_qemus or setting.exposure.state is ExposureState.NOT_EXPOSED:
        why = f"{silent}; {timer}, as this bug leaves it, but {setting.exposure.why}"
        return _otherwise(read, why, idle=halted)
    return VcpuLook(read.vcpu, Condition.FROZEN_BY_BUG, f"{silent}; {timer}", idle=halted)


def _counted(window: Window) -> bool:
    """Return whether something counted tells that the vCPU was silent in a window."""
    return window.counters is not None or (window.slept and window.switches == 0)


def _unarmed(read: VcpuReadings, why: str, setting: Setting, *, halted: bool) -> VcpuLook:
    """Judge a silent vCPU that waits for no interrupt of its timer, as far as anybody sees."""
    if setting.seen_frozen:
        return _otherwise(read, why)
    if halted:
        return _unknown(read, f"{why}: it has nothing to do, or waits for a device", idle=True)
    return _unknown(read, f"{why}: a guest without ticks looks like this, too")


def _otherwise(read: VcpuReadings, why: str, *, idle: bool = False) -> VcpuLook:
    return VcpuLook(read.vcpu, Condition.FROZEN_OTHERWISE, why, idle)


def _quiet(read: VcpuReadings, lapics: Sequence[Lapic], setting: Setting) -> bool:
    """Return whether a vCPU showed fewer signs than a timer gives that is armed anew."""
    for window in read.windows:
        if window.counters is None:
            if window.switches is None or (not window.slept and not _ran(window)):
                return False
            continue
        few = _expiries(window, lapics[-1] if lapics else None, FEW) - 1
        counters = window.counters
        own = 0 if setting.paravirtual else counters.own_exits
        if counters.halt_wakeups or counters.irq_injections > few or own > few:
            return False
    return bool(read.windows)


def _silent_ns(read: VcpuReadings) -> int:
    return read.glances[-1].at_ns - read.began_ns


def _silent(read: VcpuReadings, *, halted: bool) -> str:
    """Return how a vCPU spent the look."""
    if halted and all(_counted(window) for window in read.windows):
        return "it stayed halted, and nothing woke it"
    if halted:
        return "it was halted at each look"
    if read.windows and all(window.counters for window in read.windows):
        return "it ran without taking an interrupt"
    return "it showed no sign of an interrupt"
