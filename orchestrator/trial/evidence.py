"""Gathers what can be read at a hang, from the least to the most invasive.

Each look may cure the patient: a vCPU that was kicked out of the guest re-reads
its pending interrupts. So after each one the guest is watched for two periods,
and ticks that come back name the look that brought them.
"""

from dataclasses import dataclass, field

from orchestrator.guest.firmware import GuestState
from orchestrator.guest.lines import Testimony
from orchestrator.trial.lapic import Lapic, Registers, parse_lapic, parse_registers
from orchestrator.trial.limits import Limits
from orchestrator.trial.trace import last_load
from orchestrator.trial.watch import Heard, Quiet, Silence, Watch
from orchestrator.vm.machine import Machine
from orchestrator.vm.monitor import CommandFailedError, MonitorError

#: NMIs sent; the guest re-arms its timer at the third.
TESTIMONIES = 2


@dataclass(slots=True)
class Evidence:
    """What was read at a hang; what is None was not reached or could not be read."""

    run_state: str | None = None
    vcpu_advanced_ns: int | None = None
    """vCPU CPU time that passed while the guest was looked at the first time."""
    memory: list[GuestState] = field(default_factory=list)
    """The state block, twice, without touching the vCPU."""
    stats: object | None = None
    """KVM's counters of the vCPU (`query-stats`, QEMU 7.1 on)."""
    lapic: Lapic | None = None
    lapic_text: str = ""
    registers: Registers | None = None
    registers_text: str = ""
    testimonies: list[Testimony] = field(default_factory=list)
    rescued: bool | None = None
    """Whether ticks went on after the guest re-armed its timer."""
    cured_by: str | None = None
    """The look after which ticks came back."""
    failure: str | None = None
    """Why gathering ended early."""
    console_tail: str = ""
    console_garbled: int = 0
    """Lines that had the form of the guest's, but not the checksum."""
    console_dropped_bytes: int = 0
    qmp_log: list[dict[str, object]] = field(default_factory=list)
    trace: str | None = None


async def gather(machine: Machine, limits: Limits, *, look: bool = True) -> Evidence:
    """Gather the evidence of a machine; it never raises for a broken QEMU.

    Args:
        machine: the machine, as its trial left it.
        limits: of its period.
        look: whether to look at the guest; without, only what is there already is kept.
    """
    evidence = Evidence()
    machine.keep_trace()
    evidence.trace = last_load(machine.trace) if machine.trace else None
    try:
        if look:
            await _Examination(machine, limits, evidence).run()
    except MonitorError as error:
        evidence.failure = str(error)
    except ProcessLookupError:
        evidence.failure = "QEMU is gone"
    except (OSError, ValueError) as error:
        evidence.failure = f"reading what QEMU gave: {error}"
    evidence.console_tail = machine.console.tail().decode("ascii", "backslashreplace")
    evidence.console_garbled = machine.console.garbled
    evidence.console_dropped_bytes = machine.console.dropped_bytes
    evidence.qmp_log = machine.monitor.log()
    return evidence


class _Examination:
    """The looks, in their order."""

    def __init__(self, machine: Machine, limits: Limits, evidence: Evidence) -> None:
        self._machine = machine
        self._limits = limits
        self._evidence = evidence
        self._watch = Watch(machine, limits)
        self._runs = True

    async def run(self) -> None:
        machine, evidence = self._machine, self._evidence
        evidence.run_state = await machine.run_state()
        before_ns = await machine.vcpu_cpu_ns()
        if await self._ticks_after("query-status"):
            return
        evidence.vcpu_advanced_ns = await machine.vcpu_cpu_ns() - before_ns
        # A vCPU in a busy wait uses all the time that it is given. One that used none
        # can't tick, and can't testify: the rest is read without waiting for that.
        self._runs = evidence.vcpu_advanced_ns >= self._limits.period_ns // 20
        evidence.memory.append(await machine.guest_state())
        if await self._ticks_after("pmemsave"):
            return
        evidence.memory.append(await machine.guest_state())
        try:
            evidence.stats = await machine.monitor.execute("query-stats", {"target": "vcpu"})
        except CommandFailedError:
            evidence.stats = None  # an older QEMU, or no KVM
        if await self._ticks_after("query-stats"):
            return
        evidence.lapic_text = await machine.monitor.hmp("info lapic")
        evidence.lapic = parse_lapic(evidence.lapic_text)
        if await self._ticks_after("info lapic"):
            return
        evidence.registers_text = await machine.monitor.hmp("info registers")
        evidence.registers = parse_registers(evidence.registers_text)
        if await self._ticks_after("info registers"):
            return
        if evidence.run_state != "running" or not self._runs:
            return
        for number in range(1, TESTIMONIES + 1):
            if await self._nmi(f"NMI {number}"):
                return
        evidence.rescued = await self._nmi("NMI 3, which re-arms", rescue=True)

    async def _ticks_after(self, look: str, *, rescue: bool = False) -> bool:
        """Watch for two periods; note the look that brought a tick back."""
        if not self._runs:
            return False
        after = await self._watch.tick(
            self._limits.look_ns,
            silent=True,
            wall_cap_ns=max(5 * self._limits.look_ns, 500_000_000),
        )
        self._evidence.testimonies.extend(
            line for line in self._watch.others if isinstance(line, Testimony)
        )
        self._watch.others.clear()
        if isinstance(after, Heard):
            if not rescue:
                self._evidence.cured_by = look
            return True
        if isinstance(after, Silence) and after.quiet in (Quiet.CRASHED, Quiet.KILLED):
            self._evidence.failure = after.why
            raise ProcessLookupError
        return False

    async def _nmi(self, name: str, *, rescue: bool = False) -> bool:
        await self._machine.monitor.execute("inject-nmi")
        return await self._ticks_after(name, rescue=rescue)
