"""Parses the output of QEMU's `info lapic` and `info registers`."""

import re
from dataclasses import dataclass

from orchestrator.guest.timer_mode import TimerMode

LVT_MASKED = 0x10000

#: LVTT: one-shot, periodic or TSC-deadline.
LVT_TIMER_MODE = 0x60000

#: The timer modes by their bits in LVTT. The fourth value is reserved.
_MODES = {0: TimerMode.ONE_SHOT, 0x20000: TimerMode.PERIODIC, 0x40000: TimerMode.TSC_DEADLINE}

#: LVTT: fixed is 0; others are for the other entries of the LVT.
LVT_DELIVERY_MODE = 0x700

#: Bit of SVR that switches the LAPIC on.
SVR_ENABLED = 0x100


def mode_name(lvtt: int) -> str:
    """Return the name of the timer mode in LVTT; empty for the reserved mode."""
    return _MODES.get(lvtt & LVT_TIMER_MODE, "")


@dataclass(frozen=True, slots=True)
class Lapic:
    """A LAPIC as QEMU shows it, without the current count, which QEMU makes up under KVM."""

    lvtt: int
    tmict: int
    irr: frozenset[int]
    """Pending vectors."""
    isr: frozenset[int]
    """Vectors in service."""
    takes_pic: bool = False
    """True if LINT0 hands on the PIC's interrupts (ExtINT, unmasked)."""
    tpr: int = 0
    """Task priority: interrupts of its class and below wait."""
    enabled: bool = True
    """False if SVR switches the LAPIC off, as it does after a reset."""
    divide: int = 1
    """The timer counts every so many cycles of its clock down."""

    @property
    def vector(self) -> int:
        """Vector in LVTT."""
        return self.lvtt & 0xFF

    @property
    def masked(self) -> bool:
        """Whether LVTT is masked."""
        return bool(self.lvtt & LVT_MASKED)

    @property
    def timer(self) -> str:
        """Name of the timer mode in LVTT; empty for the reserved mode."""
        return mode_name(self.lvtt)

    @property
    def armed_ns(self) -> int | None:
        """Nanoseconds from the last write of TMICT to the expiry that it asks for.

        The LAPIC's clock runs at 1 GHz in KVM and in QEMU. None if TMICT is 0 or LVTT is masked,
        so that no interrupt can come, and None in TSC-deadline mode, which does not use TMICT.
        """
        if self.masked or not self.tmict or self.timer == TimerMode.TSC_DEADLINE:
            return None
        return self.tmict * self.divide

    @property
    def comes_once(self) -> bool:
        """True in one-shot mode: after an interrupt the guest must arm the timer again."""
        return self.timer == TimerMode.ONE_SHOT


def redivided(saved: int, now: Lapic) -> str:
    """Return how the clock of an armed timer is divided otherwise than in a save, in words.

    Args:
        saved: the divisor in the save; 0 if it is not known.
        now: the LAPIC now.

    Returns:
        An empty text if the divisor is the same, or if the timer does not use it.
    """
    if not saved or now.armed_ns is None or now.divide == saved:
        return ""
    return f"the timer's clock is divided by {now.divide}, and was by {saved} in the save"


def parse_lapic(text: str) -> Lapic:
    """Parse the output of `info lapic`.

    Raises:
        ValueError: a line is missing.
    """
    lvtt = re.search(r"^LVTT\s+0x([0-9a-f]+)", text, re.M)
    timer = re.search(r"initial_count = (\d+)", text)
    divide = re.search(r"divide by (\d+)", text)
    tpr = re.search(r"\bTPR 0x([0-9a-f]+)", text)
    lint0 = re.search(r"^LVT0\s+0x([0-9a-f]+)", text, re.M)
    svr = re.search(r"^SPIV\s+0x([0-9a-f]+)", text, re.M)
    if lvtt is None or timer is None:
        raise ValueError(f"`info lapic` has no LVTT or no timer line: {text[:200]!r}")
    return Lapic(
        lvtt=int(lvtt[1], 16),
        tmict=int(timer[1]),
        irr=_vectors("IRR", text),
        isr=_vectors("ISR", text),
        divide=int(divide[1]) if divide else 1,
        takes_pic=lint0 is not None and int(lint0[1], 16) & (LVT_MASKED | 0x700) == 0x700,
        tpr=int(tpr[1], 16) if tpr else 0,
        enabled=svr is None or bool(int(svr[1], 16) & SVR_ENABLED),
    )


def _vectors(name: str, text: str) -> frozenset[int]:
    line = re.search(rf"^{name}\s+(.*)$", text, re.M)
    if line is None:
        raise ValueError(f"`info lapic` has no {name} line: {text[:200]!r}")
    # "(none)", or numbers, each perhaps with "(level)" behind it
    return frozenset(int(number) for number in re.findall(r"\b\d+\b", line[1]))


@dataclass(frozen=True, slots=True)
class Registers:
    """The registers that decide whether an interrupt can be delivered."""

    ip: int
    flags: int
    halted: bool
    cpl: int = 0
    """The privilege level: 3 in user mode."""

    @property
    def interrupt_flag(self) -> bool:
        """The interrupt flag, IF."""
        return bool(self.flags & 0x200)


def parse_registers(text: str) -> Registers:
    """Parse the output of `info registers`.

    Raises:
        ValueError: a register is missing.
    """
    ip = re.search(r"\b[ER]IP=([0-9a-f]+)", text)
    flags = re.search(r"\b[ER]FL=([0-9a-f]+)", text)
    halted = re.search(r"\bHLT=([01])", text)
    cpl = re.search(r"\bCPL=([0-3])", text)
    if ip is None or flags is None or halted is None:
        raise ValueError(f"`info registers` lacks IP, FL or HLT: {text[:200]!r}")
    return Registers(int(ip[1], 16), int(flags[1], 16), halted[1] == "1", int(cpl[1]) if cpl else 0)
