"""Reads what can be read at a hang, from the least to the most invasive look.

Each look may cure the patient: a vCPU that leaves guest mode re-reads its pending
interrupts. So the guest is watched after each look for two periods (one more for each
further vCPU), and if ticks come back, the evidence names the look that brought them.
"""

import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from orchestrator.findings.evidence import Evidence, LookTaken, VcpuEvidence
from orchestrator.guest.lapic import parse_lapic, parse_registers
from orchestrator.guest.lines import Testimony
from orchestrator.guest.state import OverwrittenError
from orchestrator.guest.wait import Wait
from orchestrator.qmp.errors import CommandFailedError, MonitorError
from orchestrator.trial.limits import Limits
from orchestrator.trial.sysrq import list_timers
from orchestrator.trial.trace import last_load
from orchestrator.trial.watch import Ended, Heard, Mark, Watch
from orchestrator.vm.instance import Instance

#: Most bytes of a guest's kernel log to read.
LOG_BYTES = 65536


@dataclass(frozen=True, slots=True)
class _Look:
    """One look at a silent guest."""

    name: str
    rearms: bool = False
    """Whether the look makes the guest re-arm its timer: ticks after it are a rescue, not a
    cure."""


#: QEMU's run states after KVM failed to run a vCPU, or a disk to write.
GAVE_UP = frozenset({"internal-error", "io-error"})


async def gather(
    instance: Instance, limits: Limits, vcpus: Sequence[int] = (0,), *, look: bool = True
) -> Evidence:
    """Gather the evidence of an instance and of some of its vCPUs.

    A QEMU that fails meanwhile ends the reading early; it raises nothing.

    Args:
        instance: the instance, as its trial left it.
        limits: limits of silence for the guest's period.
        vcpus: vCPUs that did not plainly tick.
        look: whether to look at the guest. If false, only console, trace and QMP log are
            kept, which exist already.
    """
    found = Evidence(vcpus=tuple(VcpuEvidence(vcpu) for vcpu in vcpus))
    found.began_ns = instance.clock.now_ns()
    await instance.keep_trace()
    failure = None
    try:
        if look:
            await _Examination(instance, limits, found).run()
    except MonitorError as error:
        failure = str(error)
    except ProcessLookupError:
        failure = "QEMU is gone"
    except (OSError, ValueError) as error:
        failure = f"reading what QEMU gave: {error}"
    found.ended_ns = instance.clock.now_ns()
    found.failure = found.failure or failure
    if instance.crash:
        words = instance.crash.last_words
        by = "by" if instance.crash.code < 0 else "with"
        found.qemu_crash = f"QEMU crashed {by} {instance.crash.by}" + (
            f". Its last words: {words}" if words else ", without a word"
        )
    found.trace = last_load(instance.trace) if instance.trace else None
    if not (found.failure or found.guest_log):
        found.guest_log = await _guest_log(instance)
    found.console_tail = instance.console.tail().decode("ascii", "backslashreplace")
    found.console_garbled = instance.console.garbled
    found.console_dropped_bytes = instance.console.dropped_bytes
    found.qmp_log = instance.monitor.log()
    if found.run_state in GAVE_UP and instance.owned:
        # The guest can't run on, and QEMU says why only at its own end.
        found.qemu_stderr = (await instance.kill()).lines
    return found


async def _guest_log(instance: Instance) -> str:
    """Return the end of the guest's kernel log; empty if there is none, or QEMU does not say it."""
    device = instance.config.program.log_chardev
    if device is None:
        return ""
    asked = {"device": device, "size": LOG_BYTES}
    try:
        said = await instance.monitor.ask("ringbuf-read", str, asked)
    except MonitorError:
        return ""
    return said[-LOG_BYTES:].encode("ascii", "backslashreplace").decode("ascii")


def _nmis_to_rearm(instance: Instance) -> int:
    """Return at which NMI without a tick the guest arms its timer again; 0 if at none."""
    asked = [each for each in instance.config.program.questions if each.nmi]
    return next((number for number, each in enumerate(asked, 1) if each.rearms), 0)


class _Subject:
    """One vCPU under examination."""

    def __init__(
        self, instance: Instance, limits: Limits, whole: Evidence, evidence: VcpuEvidence
    ) -> None:
        self.vcpu = evidence.vcpu
        self.evidence = evidence
        self._whole = whole
        self.runs = True
        self.memory_began_ns = 0
        self._looks: list[tuple[int, _Look]] = []
        self._since: Mark | None = None
        self._clock = instance.clock
        self._nmis_to_rearm = _nmis_to_rearm(instance)
        self._watch = Watch(instance, limits, self.vcpu)
        self._limits = limits

    def look_begins(self, look: _Look) -> None:
        """Note the time of a look: a tick that comes later may be its doing."""
        self._looks.append((self._clock.now_ns(), look))

    async def look_ends(self) -> None:
        """Start the count of the time for which the vCPU is watched."""
        if self.runs:
            with contextlib.suppress(ProcessLookupError):  # the watch reports how QEMU ended
                self._since = await self._watch.mark()

    async def ticks(self, answer_ns: int = 0) -> bool:
        """Watch the vCPU until it has run for `look_ns`; return whether it ticked.

        A guest that was asked something is watched for `answer_ns`, if that is longer.

        vCPUs are watched one after another, so a tick may have arrived before this call:
        its arrival time decides which look brought it back.
        """
        if not self.runs:
            return False
        limits = self._limits
        after = await self._watch.tick(
            max(limits.look_ns, answer_ns),
            since=self._since,
            wall_cap_ns=max(limits.look_cap_ns, 5 * answer_ns * limits.vcpus),
        )
        for line in self._watch.others:
            if isinstance(line, Testimony):
                self.evidence.testimonies.append(line)
                self.evidence.asked_ns.append(self._looks[-1][0])
        self._watch.others.clear()
        if isinstance(after, Heard):
            before = [look for began_ns, look in self._looks if began_ns <= after.at_ns]
            self.evidence.unaided = not before
            self.evidence.ticked_ns = after.at_ns
            by = before[-1] if before else None
            rearmed = by is not None and (by.rearms or self._rearmed)
            self.evidence.rescued = rearmed
            self.evidence.cured_by = by.name if by is not None and not rearmed else None
            return True
        if isinstance(after, Ended):
            self._whole.failure = after.why
            raise ProcessLookupError
        return False

    @property
    def _rearmed(self) -> bool:
        """Whether the guest has taken so many NMIs that it has armed its timer again.

        It counts those that nobody sent, too.
        """
        needed = self._nmis_to_rearm
        return needed > 0 and any(each.number >= needed for each in self.evidence.testimonies)


class _Examination:
    """The looks in their order. A vCPU that ticks again is left alone from then on."""

    def __init__(self, instance: Instance, limits: Limits, found: Evidence) -> None:
        self._instance = instance
        self._limits = limits
        self._found = found
        self._silent = [_Subject(instance, limits, found, part) for part in found.vcpus]

    async def run(self) -> None:
        instance = self._instance
        before_ns = {each.vcpu: await instance.vcpu_cpu_ns(each.vcpu) for each in self._silent}
        delays_ns = {
            each.vcpu: await instance.vcpu_run_delay_ns(each.vcpu) for each in self._silent
        }
        async with self._look("query-status"):
            self._found.run_state = await instance.run_state()
        for each in self._silent:
            advanced_ns = await instance.vcpu_cpu_ns(each.vcpu) - before_ns[each.vcpu]
            each.evidence.advanced_ns = advanced_ns
            delay_ns = await instance.vcpu_run_delay_ns(each.vcpu)
            waited = delay_ns is None or delay_ns != delays_ns[each.vcpu]
            each.evidence.slept = advanced_ns == 0 and not waited
            # A vCPU in a busy wait uses all the CPU time it can get. A vCPU that used none
            # can neither tick nor testify: the other looks do not wait for it.
            sleeps = instance.config.guest.wait is Wait.HALT
            each.runs = sleeps or advanced_ns >= self._limits.period_ns // 20
        async with self._look("pmemsave"):
            await self._read_memory()
        await self._read_memory()
        # The first look for which the vCPU leaves guest mode, which may bring a pending tick.
        async with self._look("info lapic"):
            for each in self._silent:
                text = await instance.monitor.hmp("info lapic", vcpu=each.vcpu)
                each.evidence.lapic_text, each.evidence.lapic = text, parse_lapic(text)
        async with self._look("query-stats"):
            self._found.stats = await self._stats()
        async with self._look("info registers"):
            for each in self._silent:
                text = await instance.monitor.hmp("info registers", vcpu=each.vcpu)
                each.evidence.registers_text = text
                each.evidence.registers = parse_registers(text)
        program, told = instance.config.program, instance.config.guest
        if self._found.run_state != "running":
            return
        if not program.can_testify(told):
            await self._ask_kernel()
            return
        self._silent = [each for each in self._silent if each.runs]
        for question in program.questions:
            if question.rearms:
                for each in self._silent:
                    each.evidence.rescued = False
            answer_ns = question.answer_ns
            async with self._look(question.look, rearms=question.rearms, answer_ns=answer_ns):
                if question.nmi:
                    await self._nmi()

    async def _ask_kernel(self) -> None:
        """Have the kernel of a guest whose program never runs again list its timers.

        The interrupts of its console may make a kernel arm its timer: ticks that come then are a
        rescue.
        """
        if not (self._silent and self._instance.config.program.sysrq_files):
            return
        self._found.guest_log = await _guest_log(self._instance)  # the list takes its place
        async with self._look("SysRq q", rearms=True):
            self._found.timer_list = await list_timers(self._instance)

    @contextlib.asynccontextmanager
    async def _look(
        self, name: str, *, rearms: bool = False, answer_ns: int = 0
    ) -> AsyncIterator[None]:
        """Look at the vCPUs that are still silent, watch them, and release those that tick."""
        clock, began_ns = self._instance.clock, self._instance.clock.now_ns()
        for each in self._silent:
            each.look_begins(_Look(name, rearms))
        try:
            yield
        finally:
            if self._silent:
                taken = LookTaken(name, began_ns, clock.now_ns(), rearms)
                self._found.looks.append(taken)
        for each in self._silent:
            await each.look_ends()
        silent = self._silent
        self._silent = [each for each in self._silent if not await each.ticks(answer_ns)]
        for each in silent:
            if each.evidence.cured_by and each.evidence.lapic is None:
                await self._read_cured(each)

    async def _read_cured(self, subject: _Subject) -> None:
        """Read the LAPIC of a vCPU that ticks again, for the setting of its timer."""
        evidence = subject.evidence
        text = await self._instance.monitor.hmp("info lapic", vcpu=subject.vcpu)
        evidence.lapic_text, evidence.cured_lapic = text, parse_lapic(text)

    async def _stats(self) -> object | None:
        """Return KVM's counters; None if QEMU is too old or runs without KVM."""
        try:
            stats: object = await self._instance.monitor.execute("query-stats", {"target": "vcpu"})
        except CommandFailedError:
            return None
        return stats

    async def _read_memory(self) -> None:
        for each in self._silent:
            each.memory_began_ns = each.memory_began_ns or self._instance.clock.now_ns()
            try:
                each.evidence.memory.append(await self._instance.guest_state(each.vcpu))
            except OverwrittenError as error:
                each.evidence.overwritten = str(error)
            each.evidence.memory_ns = self._instance.clock.now_ns() - each.memory_began_ns

    async def _nmi(self) -> None:
        """Inject an NMI into every vCPU, unless all of them tick again."""
        if self._silent:
            self._instance.nmis += 1
            await self._instance.monitor.execute("inject-nmi")
