"""The tick firmware on one vCPU, as a state machine in its own running time.

A script changes the fields of a `FakeVcpu` to make a guest misbehave: `due_ns = None` loses
the timer interrupt, `tmict = 0` is a timer that was not restored. `waits_ns` makes the vCPU
wait for a CPU, as on a busy host: its timer and its TSC go on, and it makes no progress.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from orchestrator.guest.config import GuestConfig
from orchestrator.guest.lapic import LVT_MASKED
from orchestrator.guest.saved_state import SavedState
from orchestrator.guest.state import Stage
from orchestrator.guest.tick.lines import NOT_AHEAD, TURN_UNIT, render
from orchestrator.guest.tick.state import MAGIC, WORDS
from orchestrator.guest.timer_mode import TimerMode

#: Time that one turn of the guest's busy-wait loop takes.
SPIN_NS = 1000

#: TSC cycles in a nanosecond.
TSC_PER_NS = 2

#: Share of a period from which on a turn of the busy-wait loop counts as stolen.
LONG_TURN = 0.02

#: Time for which the guest holds its LAPIC in a state after each tick, in periods.
HOLDS = {
    SavedState.PENDING: 1.75,
    SavedState.IN_SERVICE: 0.75,
    SavedState.MASKED: 0.75,
    SavedState.TPR: 1.75,
}

#: The tick from which on the guest does that.
HOLD_FROM = 4

#: NMIs without a tick between them after which the guest arms its timer again.
RESCUE_NMIS = 3


@dataclass
class FakeVcpu:
    """One vCPU with its timer, counters and registers. A save holds a copy of it."""

    vcpu: int = 0
    """APIC ID."""
    ticks: int = 0
    arms: int = 1
    ran_ns: int = 0
    """Time for which the vCPU has run."""
    waits_ns: int = 0
    """Time for which the vCPU now waits for a CPU, before it runs on."""
    skipped_ns: int = 1_000_000_000_000
    """Time by which the TSC is ahead of `ran_ns`: the vCPU waited, or was stopped."""
    last_tick_ns: int = 0
    """`ran_ns` at the last tick."""
    tick_tsc: int = 0
    """TSC at the last tick."""
    due_ns: int | None = 0
    """`ran_ns` at which the armed timer fires, unless the vCPU waits; None if it never will."""
    has_kvmclock: bool = True
    """Whether KVM offers kvmclock."""
    kvmclock_ahead_ns: int = 1_000_000_000_000
    """Time by which kvmclock is ahead of `ran_ns`."""
    says_kvmclock: bool = True
    """Whether the next tick's line has kvmclock: KVM has changed its data."""
    tick_kvmclock_ns: int = 0
    """kvmclock at the last tick."""
    ahead: int | None = None
    """TSC cycles by which the TSC was ahead of the next vCPU's since the last tick, at most."""
    waiting_from: tuple[int, int] | None = None
    """While the vCPU waits for a CPU: the TSC at the end of its last turn, and the TSC cycles
    of the long turns before."""
    turns: tuple[int, int, int, int] = (0, 0, 0, 0)
    """Long turns since the last tick: TSC cycles in all, of the longest, and the TSC at its
    end and at the end of the last one."""
    pace: float = 1.0
    """Length of each further period, in periods."""
    starved: float = 0.0
    """Periods for which the vCPU waits for a CPU after each tick."""
    ticks_left: int | None = None
    """Ticks that are left until the timer starts no more; None if it always starts."""
    deadline: int = 0
    """The TSC deadline that the guest wrote last; 0 outside TSC-deadline mode."""
    stretch_next_ns: int = 0
    """Added to the next period that the guest arms, once."""
    nmis: int = 0
    """NMIs since the last tick."""
    pending: str | None = None
    """The monitor command that delivers a pending interrupt; None if none is pending."""
    window_until_ns: int | None = None
    """`ran_ns` at which the built-in control's window ends, once it has begun."""
    swallowed: int = 0
    """Interrupts taken on the control's vector."""
    strays: int = 0
    """Interrupts taken on vectors that the guest never uses."""
    stray: int = 0
    """The vector of the last of these."""
    spurious: int = 0
    """Interrupts that seemed to be spurious."""
    held_until_ns: int | None = None
    """`ran_ns` at which the guest ends the state in which it holds its LAPIC; None if it
    holds none."""
    held_back: bool = False
    """True if a tick waits in the IRR for the end of that state."""
    flags: int = 0x246
    """EFLAGS."""
    tmict: int = 0
    lvtt: int = 0x40
    divide: int = 1
    """Divisor of the timer's clock as `info lapic` shows it. `pace` is what it does."""
    mute: bool = False
    """True if its tick lines are not printed."""
    sleeps: bool = False
    """True if it sleeps between ticks, without CPU time and progress."""
    wakes: bool = False
    """True if KVM wakes it between ticks, too, and it sleeps on."""
    halted: bool = False
    """True if it does not run."""
    mark: bool = False
    """For a script's own use; saved and loaded like the rest."""

    def run(self, passed_ns: int, config: GuestConfig) -> Iterator[bytes]:
        """Let `passed_ns` pass; yield the lines that the guest prints meanwhile."""
        if self.waits_ns:
            self.waiting_from = self.waiting_from or (self.tsc, self.turns[0])
            waited_ns = min(self.waits_ns, passed_ns)
            self.skip(waited_ns, config)
            self.waits_ns -= waited_ns
            passed_ns -= waited_ns
            if self.due_ns is not None:
                self.due_ns = max(self.ran_ns, self.due_ns - waited_ns)
            if self.waits_ns:
                return
            self.waiting_from = None
        until = self.ran_ns + passed_ns
        while (fired := self.next_ns()) is not None and fired <= until:
            self.ran_ns = fired
            if fired == self.held_until_ns:
                yield from self._end_hold(config)
                continue
            self.due_ns = None
            if self.held_until_ns is not None:
                self.held_back = config.state is not SavedState.MASKED
            elif self.window_until_ns is None or fired >= self.window_until_ns:
                yield from self._tick(config)
            else:
                self.swallowed += 1
                if config.mode == TimerMode.PERIODIC:
                    self.due_ns = fired + config.period_ns
        self.ran_ns = until

    def reset(self, config: GuestConfig) -> None:
        """Begin the guest's program anew. KVM's clocks go on."""
        new = FakeVcpu(self.vcpu, due_ns=self.ran_ns + config.period_ns, tmict=config.period_ns)
        for name in ("ran_ns", "waits_ns", "skipped_ns", "kvmclock_ahead_ns", "has_kvmclock"):
            setattr(new, name, getattr(self, name))
        new.last_tick_ns, new.tick_tsc, new.sleeps = self.ran_ns, self.tsc, self.sleeps
        vars(self).update(vars(new))

    def next_ns(self) -> int | None:
        """Return when the timer fires or the hold ends, whichever comes first."""
        return min((at for at in (self.due_ns, self.held_until_ns) if at is not None), default=None)

    def _end_hold(self, config: GuestConfig) -> Iterator[bytes]:
        """End the state in which the LAPIC is held; a tick that it held back comes now."""
        self.held_until_ns = None
        if config.state is SavedState.MASKED:
            self.due_ns = self.ran_ns + config.period_ns
        elif self.held_back:
            self.held_back = False
            yield from self._tick(config)

    def skip(self, ns: int, config: GuestConfig) -> None:
        """Let the TSC go on by `ns`, while the vCPU does not run."""
        total, longest, end, _ = self.turns
        begun = end == self.tsc  # one turn, in several parts
        self.skipped_ns += ns
        self.kvmclock_ahead_ns += ns
        length = TSC_PER_NS * ns + (longest if begun else 0)
        if length > LONG_TURN * TSC_PER_NS * config.period_ns:
            total += length - (longest if begun else 0)
            end = self.tsc if length >= longest else end
            self.turns = (total, max(longest, length), end, self.tsc)

    @property
    def tsc(self) -> int:
        """The vCPU's TSC."""
        return TSC_PER_NS * (self.ran_ns + self.skipped_ns)

    @property
    def kvmclock_ns(self) -> int:
        """The vCPU's kvmclock."""
        return self.ran_ns + self.kvmclock_ahead_ns

    @property
    def _spins(self) -> int:
        """Turns of the busy-wait loop since the last tick."""
        return 1 if self.sleeps else (self.ran_ns - self.last_tick_ns) // SPIN_NS

    def _tick(self, config: GuestConfig) -> Iterator[bytes]:
        spins = self._spins
        self.ticks += 1
        self.arms += 1
        self.nmis = 0
        self.last_tick_ns, self.tick_tsc = self.ran_ns, self.tsc
        self.tick_kvmclock_ns = self.kvmclock_ns if self.has_kvmclock else 0
        self.due_ns = self.ran_ns + int(self.pace * config.period_ns) + self.stretch_next_ns
        if config.mode == TimerMode.TSC_DEADLINE:
            self.deadline = self.tsc + TSC_PER_NS * config.period_ns
        self.waits_ns += int(self.starved * config.period_ns)
        if self.ticks_left is not None:
            self.ticks_left -= 1
            self.due_ns = None if self.ticks_left < 1 else self.due_ns
        self.stretch_next_ns = 0
        if self.ticks >= HOLD_FROM and config.state in HOLDS:
            self.held_until_ns = self.ran_ns + round(HOLDS[config.state] * config.period_ns)
        if not self.mute:
            words = [self.tsc >> 32, self.tsc & 0xFFFFFFFF, 0, self.arms]
            total, longest, end, last = self.turns
            if longest:
                ran = (self.tsc - end, self.tsc - last)
                words += (cycles // TURN_UNIT for cycles in (total, longest, *ran))
            if self.has_kvmclock and self.says_kvmclock:
                words += (self.kvmclock_ns >> 32, self.kvmclock_ns & 0xFFFFFFFF)
                self.says_kvmclock = False
            if config.vcpus > 1:
                units = NOT_AHEAD if self.ahead is None else self.ahead // TURN_UNIT
                words.append(units & 0xFFFFFFFF)
                self.ahead = None
            yield render("T", self.ticks, spins, *words, vcpu=self.vcpu)
        self.turns = (0, 0, 0, 0)
        if self.ticks == config.control_tick and self.vcpu == config.subject:
            self.window_until_ns = self.ran_ns + config.control_periods * config.period_ns
            window = config.control_periods * config.period_ns // SPIN_NS
            yield render("C", self.ticks, window, vcpu=self.vcpu)

    def testify(self, config: GuestConfig) -> bytes:
        """Take an NMI; return the line in which the guest testifies to its LAPIC's state."""
        self.nmis += 1
        tmcct = 0 if self.due_ns is None else max(0, self.due_ns - self.ran_ns) // self.divide
        irr = int(self.pending is not None)
        isr = ppr = tpr = deadline_high = deadline_low = 0
        line = render(
            "N", self.nmis, self.lvtt, self.tmict, tmcct, irr, isr, ppr, tpr,
            deadline_high, deadline_low, self._spins, self.ticks, self.arms, self.flags,
            0xF000, 0x34, 0, vcpu=self.vcpu,
        )  # fmt: skip
        if self.nmis == RESCUE_NMIS:
            self.arms += 1
            self.due_ns = self.ran_ns + config.period_ns
        return line

    def state_block(self, config: GuestConfig) -> bytes:
        """Return the guest's state block as it stands in memory."""
        left_ns = 0 if self.window_until_ns is None else self.window_until_ns - self.ran_ns
        stage = Stage.TICKING
        if self.window_until_ns is not None:
            stage = Stage.CONTROL_WINDOW if left_ns > 0 else Stage.CONTROL_SILENT
        words = [0] * WORDS
        words[0] = MAGIC
        words[2], words[3], words[4] = self.ticks, self.arms, self._spins
        words[5], words[7] = self.ticks, stage
        words[9], words[10] = self.tick_tsc & 0xFFFFFFFF, self.tick_tsc >> 32
        last_turn, stolen = self.waiting_from or (self.tsc, self.turns[0])
        last_turn = self.tick_tsc if self.sleeps else last_turn
        words[22], words[23] = last_turn // TURN_UNIT, stolen // TURN_UNIT
        words[31], words[32] = self.tick_kvmclock_ns & 0xFFFFFFFF, self.tick_kvmclock_ns >> 32
        words[20], words[21] = self.deadline & 0xFFFFFFFF, self.deadline >> 32
        words[14] = TSC_PER_NS * config.period_ns
        words[16] = max(0, left_ns) // SPIN_NS
        words[12], words[13] = self.swallowed, self.strays
        words[40], words[41] = self.stray, self.spurious
        if self.held_until_ns is not None:
            whole_ns = round(HOLDS[config.state] * config.period_ns)
            left_ns = self.held_until_ns - self.ran_ns
            words[27:30] = [TSC_PER_NS * ns // TURN_UNIT for ns in (left_ns, whole_ns)] + [1]
        return struct.pack(f"<{len(words)}I", *words)

    def info_lapic(self, state: SavedState = SavedState.ARMED) -> str:
        """Return what the monitor command `info lapic` prints."""
        held = state if self.held_until_ns is not None else SavedState.ARMED
        lvtt = self.lvtt | (LVT_MASKED if held is SavedState.MASKED else 0)
        isr = "64" if held is SavedState.IN_SERVICE else "(none)"
        tpr = 0x50 if held is SavedState.TPR else 0
        irr = "64" if self.held_back or self.pending else "(none)"
        return (
            f"LVTT\t 0x{lvtt:08x} active-hi edge one-shot Fixed (vec 64)\n"
            f"Timer\t DCR=0xb (divide by {self.divide}) initial_count = {self.tmict} "
            f"current_count = 5\nISR\t {isr}\nIRR\t {irr}\n"
            f"\nAPR 0x00 TPR 0x{tpr:02x} DFR 0x0f LDR 0x00 PPR 0x00\n"
        )

    def info_registers(self, state: SavedState = SavedState.ARMED) -> str:
        """Return what losttick reads of the output of `info registers`."""
        off = state is SavedState.PENDING and self.held_until_ns is not None
        return f"EIP=00000034 EFL={self.flags & ~(0x200 * off):08x} HLT={int(self.halted)}"
