"""The lines that the tick guest prints, and their checksum.

A line is a type letter, the vCPU that prints it, fields of eight hexadecimal digits, a
checksum of the same form, and a newline (``images/tick/README.md`` has the table). Only a whole
line whose checksum fits is believed: a snapshot that was taken in mid-line
replays the tail of that line, and bytes alone prove nothing.
"""

import re
from dataclasses import dataclass
from typing import ClassVar

#: Matches one line of the guest in a stream that may hold anything else.
LINE = re.compile(rb"([RTCNBP])([0-7])((?: [0-9a-f]{8})+)\n")


@dataclass(frozen=True, slots=True)
class Ready:
    """The guest has read its configuration and is about to start its timer."""

    fields: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Tick:
    """One timer interrupt, as the guest's busy-wait loop saw it."""

    sequence: int
    """Interrupts taken since the guest started, this one included."""
    spins: int
    """Turns of the busy-wait loop since the tick before (not counted while printing)."""
    tsc: int
    """TSC at the interrupt. For information: KVM does not rewind it on a load."""
    print_cycles: int
    """TSC cycles that printing the line before took: part of this interval."""
    arms: int
    """How often the guest has armed its timer."""


@dataclass(frozen=True, slots=True)
class ControlWindow:
    """The built-in control has begun: the tick vector is out of the LVTT."""

    sequence: int
    window_spins: int


@dataclass(frozen=True, slots=True)
class Testimony:
    """What the guest itself reads of its LAPIC, from an NMI."""

    number: int
    """NMIs since the last tick: the third one also re-arms the timer."""
    lvtt: int
    tmict: int
    tmcct: int
    irr: int
    """IRR of vectors 0x40 to 0x5f."""
    isr: int
    """ISR of vectors 0x40 to 0x5f."""
    ppr: int
    tpr: int
    deadline: int
    """IA32_TSC_DEADLINE; 0 outside TSC-deadline mode."""
    spins: int
    """Turns of the busy-wait loop since the last tick."""
    ticks: int
    arms: int
    flags: int
    cs: int
    ip: int

    @property
    def interrupt_flag(self) -> bool:
        """IF of the interrupted code."""
        return bool(self.flags & 0x200)


@dataclass(frozen=True, slots=True)
class BadConfig:
    """The guest halted: its configuration record is missing or can't be met."""

    code: int

    #: What each code means; the numbers are those of ``images/tick/tick.S``.
    REASONS: ClassVar[dict[int, str]] = {
        1: "no fw_cfg file opt/losttick/config",
        2: "the record has the wrong size",
        3: "the record has the wrong magic",
        4: "the record holds something that is no hexadecimal digit",
        5: "unknown timer mode",
        6: "a period under 1 ms",
        7: "the CPU has no TSC-deadline timer",
        8: "the CPU has no x2APIC",
        9: "not all of its vCPUs have started",
        10: "a number of vCPUs that it has no room for",
    }

    @property
    def reason(self) -> str:
        """The code in words."""
        return self.REASONS.get(self.code, f"code {self.code}")


@dataclass(frozen=True, slots=True)
class Panic:
    """The guest took a CPU exception and halted."""

    cs: int
    ip: int
    vector: int


Line = Ready | Tick | ControlWindow | Testimony | BadConfig | Panic


def checksum(kind: int, vcpu: int, fields: tuple[int, ...]) -> int:
    """Return the guest's checksum.

    It starts at the type and 256 times the vCPU; per field, rotate left by 5 and add.
    """
    total = vcpu << 8 | kind
    for field in fields:
        total = (((total << 5) | (total >> 27)) + field) & 0xFFFFFFFF
    return total


def parse(match: re.Match[bytes]) -> tuple[int, Line] | None:
    """Return which vCPU says what in a match of `LINE`.

    None if the checksum or the shape is wrong.
    """
    kind, vcpu = match[1], int(match[2])
    *fields, given = (int(field, 16) for field in match[3].split())
    values = tuple(fields)
    if checksum(kind[0], vcpu, values) != given:
        return None
    line = _line(kind, values)
    return None if line is None else (vcpu, line)


def _line(kind: bytes, values: tuple[int, ...]) -> Line | None:
    match kind, values:
        case b"T", (sequence, spins, high, low, print_cycles, arms):
            return Tick(sequence, spins, high << 32 | low, print_cycles, arms)
        case b"R", _:
            return Ready(values)
        case b"C", (sequence, window_spins):
            return ControlWindow(sequence, window_spins)
        case b"N", (number, lvtt, tmict, tmcct, irr, isr, ppr, tpr, high, low, *rest) if (
            len(rest) == 6
        ):
            spins, ticks, arms, flags, cs, ip = rest
            return Testimony(
                number, lvtt, tmict, tmcct, irr, isr, ppr, tpr, high << 32 | low,
                spins, ticks, arms, flags, cs, ip,
            )  # fmt: skip
        case b"B", (code,):
            return BadConfig(code)
        case b"P", (cs, ip, vector):
            return Panic(cs, ip, vector)
    return None


def render(kind: str, *fields: int, vcpu: int = 0) -> bytes:
    """Return the line that the guest would print: for peers that stand in for it."""
    shown = "".join(f" {field:08x}" for field in (*fields, checksum(ord(kind), vcpu, fields)))
    return f"{kind}{vcpu}{shown}\n".encode()
