"""The lines of the Linux guest: those of the tick firmware, with a kernel's account in some."""

import re

from orchestrator.guest.lines import KernelTimer, Line, Refused, Testimony
from orchestrator.guest.tick.lines import line_of, untorn

#: Fields of a testimony: those of the firmware's, then the kernel's account.
_FIELDS = 22

#: Why the guest refuses its configuration, by the codes of ``images/linux/init.c``.
REFUSALS = {
    1: "the kernel's command line has no losttick=",
    2: "the record has the wrong size",
    3: "the record has the wrong magic",
    4: "the record holds something other than hexadecimal digits",
    5: "Linux does not tick by this timer",
    9: "not all vCPUs have started",
    10: "it has no room for so many vCPUs",
    11: "unknown way to wait, or a state between ticks in which Linux can't be held",
    32: "the kernel does not let it map /dev/mem (CONFIG_DEVMEM, iomem=relaxed)",
    33: "the kernel does not use the LAPIC's timer in the wanted mode",
    34: "the kernel's timer has another vector than 0xec",
    35: "the period is no multiple of the kernel's tick (multiples of 20 ms always are)",
    36: "the kernel has no CPU-time timers",
    37: "the kernel has no /proc/interrupts or /proc/timer_list to testify from",
}

#: Refusals that say nothing about the virtual machine.
FAULTS = frozenset({1, 2, 3, 4, 9, 11})


def parse(match: re.Match[bytes]) -> tuple[int, Line] | None:
    """Return which vCPU says what; None if the checksum or the shape is wrong."""
    whole = untorn(match)
    if whole is None:
        return None
    kind, vcpu, values = whole
    line: Line | None
    match kind, values:
        case b"N", _ if len(values) == _FIELDS:
            line = _testimony(values)
        case b"N", _:
            line = None
        case b"B", (code,):
            line = Refused(REFUSALS.get(code, f"code {code}"), lacks=code not in FAULTS)
        case _:
            line = line_of(kind, values)
    return None if line is None else (vcpu, line)


def _testimony(values: tuple[int, ...]) -> Testimony:
    number, lvtt, tmict, tmcct, irr, isr, ppr, tpr, high, low, *rest = values
    spins, ticks, arms, flags, cs, ip, elsewhere, interrupts, *times = rest
    now, event = (times[at] << 32 | times[at + 1] for at in (0, 2))
    return Testimony(
        number, lvtt, tmict, tmcct, irr, isr, ppr, tpr, high << 32 | low,
        spins, ticks, arms, flags, cs, ip, elsewhere >> 16, elsewhere & 0xFFFF,
        KernelTimer(interrupts, now, event),
    )  # fmt: skip
