"""The form of the tick firmware's lines, and their checksum.

A line is a type letter, the vCPU that prints it, fields in hexadecimal digits without
leading zeros, a checksum of the same form, and a newline (``images/tick/README.md`` has the
table). Only a whole line with the right checksum is believed: a snapshot that was taken in
mid-line replays the tail of that line, and bytes alone prove nothing.
"""

import re
from dataclasses import replace

from orchestrator.guest.lines import (
    UNTOLD,
    ControlOpened,
    Crashed,
    Line,
    Ready,
    Refused,
    Testimony,
    Tick,
)

#: Matches one line of the firmware in a stream that may hold anything else.
LINE = re.compile(rb"([RTCNBP])([0-7])((?: (?:0|[1-9a-f][0-9a-f]{0,7}))+)\n")

#: TSC cycles in a unit of the fields about long turns and about the next vCPU's TSC.
TURN_UNIT = 1024

#: A line has this value in place of how far the TSC was ahead, if the guest did not measure it.
NOT_AHEAD = 0x7FFFFFFF

#: A line has this value if so many TSC cycles, or more, passed until the line before was printed.
_TOO_MANY = 0xFFFFFFFF

#: Why the firmware refuses its configuration, by the codes of ``images/tick/tick.S``.
REFUSALS = {
    1: "no fw_cfg file opt/losttick/config",
    2: "the record has the wrong size",
    3: "the record has the wrong magic",
    4: "the record holds something other than hexadecimal digits",
    5: "unknown timer mode",
    6: "a period under 1 ms",
    7: "the CPU has no TSC-deadline timer",
    8: "the CPU has no x2APIC",
    9: "not all vCPUs have started",
    10: "the firmware has no room for so many vCPUs",
    11: "unknown way to wait, or unknown state between ticks",
    12: "the PIT has no period over 54 ms, and the RTC only 1.953125 ms times a power of two",
    13: "the PIC interrupts the first vCPU only, so its timers need --vcpus 1",
    14: "timers behind the PIC are saved only in the state armed",
    15: "the CPU has no Hyper-V synthetic timer in direct mode",
    16: "the Hyper-V timer needs --vcpus 1",
}

#: Refusals that say nothing about the virtual machine.
FAULTS = frozenset({2, 3, 4, 5, 9, 11})


def checksum(kind: int, vcpu: int, fields: tuple[int, ...]) -> int:
    """Return the firmware's checksum.

    It starts as the type's code plus 256 times the vCPU. Each field rotates it left by 5
    and is added.
    """
    total = vcpu << 8 | kind
    for field in fields:
        total = (((total << 5) | (total >> 27)) + field) & 0xFFFFFFFF
    return total


def parse(match: re.Match[bytes]) -> tuple[int, Line] | None:
    """Return which vCPU says what in a match of `LINE`.

    None if the checksum or the shape is wrong.
    """
    whole = untorn(match)
    if whole is None:
        return None
    kind, vcpu, values = whole
    line = line_of(kind, values)
    return None if line is None else (vcpu, line)


def untorn(match: re.Match[bytes]) -> tuple[bytes, int, tuple[int, ...]] | None:
    """Return the letter, the vCPU and the fields of a match; None if the checksum is wrong."""
    kind, vcpu = match[1], int(match[2])
    *fields, given = (int(field, 16) for field in match[3].split())
    values = tuple(fields)
    return (kind, vcpu, values) if checksum(kind[0], vcpu, values) == given else None


def line_of(kind: bytes, values: tuple[int, ...]) -> Line | None:
    """Return the line with these fields; None if the firmware has none of this shape."""
    match kind, values:
        case b"T", (sequence, spins, high, low, print_cycles, arms, *more) if len(more) < 8:
            if print_cycles == _TOO_MANY:
                print_cycles = UNTOLD
            return _tick(Tick(sequence, spins, high << 32 | low, print_cycles, arms), more)
        case b"R", (*config, cycles):
            return Ready(tuple(config), cycles)
        case b"C", (sequence, window_spins):
            return ControlOpened(sequence, window_spins)
        case b"N", (number, lvtt, tmict, tmcct, irr, isr, ppr, tpr, high, low, *rest) if (
            len(rest) == 7
        ):
            spins, ticks, arms, flags, cs, ip, elsewhere = rest
            return Testimony(
                number, lvtt, tmict, tmcct, irr, isr, ppr, tpr, high << 32 | low,
                spins, ticks, arms, flags, cs, ip,
                elsewhere >> 16, elsewhere & 0xFFFF,
            )  # fmt: skip
        case b"B", (code,):
            return Refused(REFUSALS.get(code, f"code {code}"), lacks=code not in FAULTS)
        case b"P", (cs, ip, vector):
            return Crashed(f"exception {vector} at {cs:04x}:{ip:04x}")
    return None


def _tick(tick: Tick, more: list[int]) -> Tick:
    """Return a tick with what its line has after the arms.

    There are three groups, each there or not. They have four fields, two and one, so that
    each number of fields up to seven belongs to one choice of groups.
    """
    turns, more = (more[:4], more[4:]) if len(more) >= 4 else ([], more)
    if turns:
        stolen, longest, since_longest, since_last = (units * TURN_UNIT for units in turns)
        tick = replace(
            tick, stolen=stolen, longest=longest, since_longest=since_longest, since_last=since_last
        )
    if len(more) >= 2:
        high, low, *more = more
        tick = replace(tick, kvmclock_ns=high << 32 | low)
    if more and more[0] != NOT_AHEAD:
        units = more[0] - (more[0] >> 31 << 32)
        tick = replace(tick, ahead=(units + 1) * TURN_UNIT)  # both TSCs were rounded down
    return tick


def render(kind: str, *fields: int, vcpu: int = 0) -> bytes:
    """Return a line as the firmware prints it, for peers that stand in for the firmware."""
    shown = "".join(f" {field:x}" for field in (*fields, checksum(ord(kind), vcpu, fields)))
    return f"{kind}{vcpu}{shown}\n".encode()
