"""Saves a guest that runs already, loads it again, and sees whether it goes on.

The guest is stopped only for a save and for a load. Before a save its LAPICs are looked at: only a
save in which a one-shot timer is armed, unmasked and not pending can show the APICv bug.
"""

import random
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from orchestrator.attached.console import AliveLines
from orchestrator.attached.disks import BlockInfo, snapshots
from orchestrator.attached.guardian import HALTED
from orchestrator.attached.lifeline import Lifeline
from orchestrator.attached.target import Target
from orchestrator.bugs.exposure import Exposure
from orchestrator.errors import InfraError, LosttickError
from orchestrator.guest.lapic import Lapic
from orchestrator.look.gather import glance, look, run_state
from orchestrator.look.look import Condition, Look, VcpuLook
from orchestrator.look.readings import Glance
from orchestrator.qmp.commands import Commands
from orchestrator.qmp.errors import CommandFailedError, MonitorError

#: Beginning of the name of each of losttick's snapshots.
PREFIX = "losttick-"

#: Most stops of the guest in search of a moment in which its timer is armed.
SAVE_ATTEMPTS = 20

#: Most loads of one save.
LOADS_PER_SAVE = 25

#: Bounds of the time between two stops, in ns: other than a multiple of any usual tick.
_BETWEEN_NS = (3_000_000, 13_000_000)


class PutBackError(InfraError):
    """The guest could not be left as it was found."""


@dataclass(frozen=True, slots=True)
class Watching:
    """How the trials see whether the guest is alive."""

    exposure: Exposure
    window_ns: int
    """How long KVM's counters are watched. The guest was alive in such a window before."""
    console: AliveLines | None = None
    limit_ns: int = 0
    """How long the console may be silent."""
    paravirtual: bool = False
    lapic_is_qemus: bool | None = None


@dataclass(frozen=True, slots=True)
class Saved:
    """A save, with what was true in it."""

    still_ns: int
    """How long the guest stood still for it."""
    lapics: Sequence[Lapic | None]
    eligible: Sequence[int]
    """The vCPUs whose timer was armed, so that a load could lose its interrupt."""
    stops: int
    """How many times the guest was stopped until then."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A load, and what became of the guest."""

    condition: Condition
    why: str
    still_ns: int
    """How long the guest stood still for it."""
    save: int
    """Number of the save."""
    evidence: bool
    """True if the save could show the bug."""
    vcpus: Sequence[VcpuLook] = ()


@dataclass(slots=True)
class Trials:
    """What the trials have seen so far."""

    planned: int
    snapshot: str
    saves: list[Saved] = field(default_factory=list)
    loads: list[Loaded] = field(default_factory=list)
    ended: str = ""
    """Why there are fewer loads than planned; empty if there are not."""
    back: str = ""
    """How the guest was brought back, if losttick itself could not do it."""


async def try_loads(
    target: Target,
    loads: int,
    watching: Watching,
    report: Callable[[str], None] = lambda words: None,
) -> Trials:
    """Save the guest, load it again, and watch it, as many times as asked for.

    At the end, also after an error or a cancellation, the guest runs and the snapshot is gone.

    Args:
        target: a virtual machine that `require_fit` has found fit.
        loads: number of loads.
        watching: how to see whether the guest is alive.
        report: is called with what was done and seen, as a line.

    Raises:
        PutBackError: the guest could not be left as it was found.
        MonitorError: QEMU failed or the connection was lost; the guest was brought back.
    """
    trials = Trials(loads, PREFIX + secrets.token_hex(6))
    lifeline = await Lifeline.start(target, trials.snapshot)
    try:
        await _series(target, watching, trials, report)
    finally:
        await _put_back(target.monitor, trials, lifeline)
    return trials


async def _series(
    target: Target, watching: Watching, trials: Trials, report: Callable[[str], None]
) -> None:
    while len(trials.loads) < trials.planned:
        frozen = bool(trials.loads) and trials.loads[-1].condition is not Condition.ALIVE
        if not frozen and len(trials.loads) % LOADS_PER_SAVE == 0:
            saved = await _save(target, trials.snapshot)
            trials.saves.append(saved)
            report(
                f"save {len(trials.saves)}: the guest stood still for {saved.still_ns / 1e9:.2f} s"
            )
            sham = await _watch(target, watching)
            if sham.condition is not Condition.ALIVE:
                trials.ended = (
                    "after the save, without any load, the guest did not go on: "
                    f"{sham.condition}. {sham.why}"
                )
                return
        await _load(target, watching, trials)
        last = trials.loads[-1]
        report(f"load {len(trials.loads)} of {trials.planned}: {last.condition}. {last.why}")
        if trials.ended:
            return


async def _save(target: Target, snapshot: str) -> Saved:
    """Stop the guest, save it, and continue it.

    Raises:
        MonitorError: QEMU failed.
    """
    monitor = target.monitor
    stops = 0
    while True:
        stops += 1
        began_ns = monitor.clock.now_ns()
        await monitor.execute("stop")
        try:
            seen = await glance(target.qemu)
            eligible = [vcpu for vcpu, each in enumerate(seen) if _eligible(each)]
            if eligible or stops == SAVE_ATTEMPTS:
                await _human(monitor, f"savevm {snapshot}")
                return Saved(
                    await _continue(monitor, began_ns), [each.lapic for each in seen], eligible,
                    stops,
                )  # fmt: skip
        except CommandFailedError:
            await _continue(monitor, began_ns)
            raise
        await _continue(monitor, began_ns)
        await monitor.clock.sleep(random.randint(*_BETWEEN_NS))


def _eligible(seen: Glance) -> bool:
    """Return whether a load could lose the interrupt of a vCPU's timer."""
    lapic, registers = seen.lapic, seen.registers
    if lapic is None or registers is None or not registers.interrupt_flag or not lapic.enabled:
        return False
    armed = lapic.comes_once and lapic.armed_ns is not None
    waiting = lapic.vector in lapic.irr or lapic.vector in lapic.isr
    return armed and not waiting and lapic.tpr >> 4 < lapic.vector >> 4


async def _load(target: Target, watching: Watching, trials: Trials) -> None:
    """Load the guest, continue it, and note what became of it."""
    monitor, saved = target.monitor, trials.saves[-1]
    began_ns = monitor.clock.now_ns()
    await monitor.execute("stop")
    try:
        await _human(monitor, f"loadvm {trials.snapshot}")
    except CommandFailedError as error:
        trials.ended = f"QEMU could not load the snapshot: {error.desc}"
    if watching.console:
        watching.console.forget()
    still_ns = await _continue(monitor, began_ns)
    number, evidence = len(trials.saves), bool(saved.eligible)
    if trials.ended:
        trials.loads.append(Loaded(Condition.UNKNOWN, trials.ended, still_ns, number, False))
        return
    seen = await _watch(target, watching)
    condition, why = _as_loaded(seen, saved)
    trials.loads.append(Loaded(condition, why, still_ns, number, evidence, seen.vcpus))


def _as_loaded(seen: Look, saved: Saved) -> tuple[Condition, str]:
    """Return the condition after a load: the bug strikes the first tick of a save's armed timer."""
    if seen.condition is Condition.ALIVE and any(vcpu.late for vcpu in seen.vcpus):
        return (
            Condition.UNKNOWN,
            "it showed no sign of life until its LAPIC was looked at: an interrupt had been "
            "pending, or the host was busy",
        )
    if seen.condition is Condition.UNKNOWN and (why := _not_restored(seen, saved)):
        return Condition.FROZEN_OTHERWISE, why
    if seen.condition is not Condition.FROZEN_BY_BUG:
        return seen.condition, seen.why
    for vcpu in seen.vcpus:
        was = saved.lapics[vcpu.vcpu]
        if (
            vcpu.condition is Condition.FROZEN_BY_BUG
            and vcpu.vcpu in saved.eligible
            and vcpu.lapic
            and was
            and (vcpu.lapic.lvtt, vcpu.lapic.tmict) == (was.lvtt, was.tmict)
        ):
            return Condition.FROZEN_BY_BUG, (
                f"vCPU {vcpu.vcpu}: {vcpu.why}. Its timer is still the one that was armed in the "
                "save: its first interrupt after the load never came"
            )
    return (
        Condition.FROZEN_OTHERWISE,
        f"{seen.why}. But its timer is not the one that was armed in the save",
    )


def _not_restored(seen: Look, saved: Saved) -> str:
    """Return how a silent vCPU's timer differs from the save as no guest leaves it; else empty.

    Linux masks a timer that it needs no more, and sets TMICT to 0.
    """
    for vcpu in seen.vcpus:
        lapic = vcpu.lapic
        if vcpu.condition is Condition.ALIVE or vcpu.vcpu not in saved.eligible or not lapic:
            continue
        if lapic.masked != (lapic.tmict == 0):
            return (
                f"vCPU {vcpu.vcpu}: {vcpu.why}. In the save its timer was armed, and the load "
                f"left LVTT {lapic.lvtt:#x} and TMICT {lapic.tmict}: it was not restored"
            )
    return ""


async def _watch(target: Target, watching: Watching) -> Look:
    """See whether the guest is alive.

    The console decides, if there is one; the LAPICs then name a freeze.
    """
    silent = False
    if console := watching.console:
        alive = await console.came(watching.limit_ns)
        if alive:  # the bug may spare the first tick, and a line may have been under way
            console.forget()
            alive = await console.came(watching.limit_ns)
        if alive:
            why = "its console printed lines that match"
            return Look(Condition.ALIVE, why, (), (), watching.exposure)
        if console.ended:
            why = "its console has ended"
            return Look(Condition.UNKNOWN, why, (), (), watching.exposure)
        silent = True
    else:
        # A guest that freezes at its first ticks shows life before that.
        await target.monitor.clock.sleep(watching.window_ns // 2)
    seen = await look(
        target.qemu,
        watching.exposure,
        window_ns=watching.window_ns,
        lapic_is_qemus=watching.lapic_is_qemus,
        paravirtual=watching.paravirtual,
        seen_frozen=silent,
    )
    if silent and seen.condition is Condition.ALIVE:
        why = f"its console is silent, but {seen.why}"
        return Look(Condition.UNKNOWN, why, seen.vcpus, (), watching.exposure)
    return seen


async def _continue(monitor: Commands, began_ns: int) -> int:
    """Continue the guest; return how long it stood still, in ns."""
    await monitor.execute("cont", deadline_ns=monitor.deadlines.state_ns)
    return monitor.clock.now_ns() - began_ns


async def _human(monitor: Commands, line: str) -> None:
    await monitor.hmp_do(line, deadline_ns=monitor.deadlines.state_ns)


async def _put_back(monitor: Commands, trials: Trials, lifeline: Lifeline) -> None:
    """Leave the guest as it was found: it runs, and the snapshot is gone.

    Raises:
        PutBackError: that could not be done.
    """
    try:
        if await run_state(monitor) in HALTED:
            await _continue(monitor, 0)
        drives = await monitor.ask("query-block", list[BlockInfo])
        if trials.snapshot in snapshots(drives):
            await _human(monitor, f"delvm {trials.snapshot}")
    except MonitorError as error:
        if not await _by_guardian(lifeline):
            raise PutBackError(
                f"leaving the guest as it was: {error.seen}. Continue the guest (`cont`, `virsh "
                f"resume`), and delete the snapshot {trials.snapshot} (`delvm`) by hand."
            ) from error
        trials.back = "the connection was lost, and made anew to bring the guest back"
        return
    await lifeline.release()


async def _by_guardian(lifeline: Lifeline) -> bool:
    try:
        return await lifeline.bring_back()
    except (TimeoutError, LosttickError):
        return False
