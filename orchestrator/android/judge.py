"""Judges a silent guest by its vCPUs and their LAPICs, as `losttick attach` does.

Two looks may be needed. The first trusts signs of life only, as for any virtual machine. If it
can't tell, the second takes into account that Android was silent for long: then the LAPICs alone
name the freeze.
"""

import asyncio

from orchestrator.android.emulator import Emulator
from orchestrator.android.findings import Freeze, Likeness
from orchestrator.android.vcpus import NO_MONITOR
from orchestrator.attached.by_pid import look_at_process
from orchestrator.attached.target import Target, socket_target
from orchestrator.clock import LocalClock
from orchestrator.errors import LosttickError
from orchestrator.host.facts import HostFacts
from orchestrator.host.local_facts import read_facts
from orchestrator.look.gather import WINDOW_NS, look
from orchestrator.look.look import Condition, Look

_LIKENESS = {
    Condition.FROZEN_BY_BUG: Likeness.BY_BUG,
    Condition.FROZEN_OTHERWISE: Likeness.OTHERWISE,
    Condition.ALIVE: Likeness.ALIVE,
    Condition.PAUSED: Likeness.OTHERWISE,
    Condition.UNKNOWN: Likeness.UNKNOWN,
}


async def judge(emulator: Emulator) -> Freeze:
    """Return what a silent guest looks like from outside. Takes some seconds."""
    facts = await asyncio.to_thread(read_facts, None, None)
    try:
        if emulator.qmp is None:
            return await _by_threads(emulator, facts)
        async with socket_target(str(emulator.qmp)) as target:
            first = await _look(target, facts, seen_frozen=False)
            if not open_to_doubt(first):
                return of_looks(first, None)
            return of_looks(first, await _look(target, facts, seen_frozen=True))
    except LosttickError as error:
        return Freeze(Likeness.UNKNOWN, f"its vCPUs can't be looked at: {error}")


async def _by_threads(emulator: Emulator, facts: HostFacts) -> Freeze:
    if emulator.pid is None:
        return Freeze(Likeness.UNKNOWN, f"its vCPUs can't be looked at: {NO_MONITOR}")
    seen = await look_at_process(emulator.pid, facts, LocalClock(), WINDOW_NS)
    return Freeze(_LIKENESS[seen.condition], f"{seen.why}; {NO_MONITOR}")


async def _look(target: Target, facts: HostFacts, *, seen_frozen: bool) -> Look:
    return await look(
        target.qemu,
        target.exposure(facts),
        lapic_is_qemus=target.irqchip_off or None,
        paravirtual="kvm_pvm" in facts.kvm_modules,
        seen_frozen=seen_frozen,
    )


def open_to_doubt(first: Look) -> bool:
    """Return whether a first look leaves open what the guest, or one of its vCPUs, is."""
    if first.condition is not Condition.ALIVE:
        return first.condition is Condition.UNKNOWN
    return any(vcpu.condition is Condition.UNKNOWN for vcpu in first.vcpus)


def of_looks(first: Look, second: Look | None) -> Freeze:
    """Return what two looks show together.

    Args:
        first: for which counters and threads could be signs of life.
        second: for which Android's silence counted; None if the first left nothing open.
    """
    if second is None:
        return Freeze(_LIKENESS[first.condition], first.why)
    if first.condition is Condition.ALIVE:
        if not second.condition.frozen:
            return Freeze(Likeness.ALIVE, first.why)
        return Freeze(
            Likeness.UNKNOWN,
            f"{first.why}. But a part of it may be {second.condition}: {second.why}",
        )
    caveats = "".join(f". {each}" for each in second.caveats)
    return Freeze(_LIKENESS[second.condition], f"{second.why}{caveats}".rstrip("."))
