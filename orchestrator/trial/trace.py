"""Reads what the kernel's tracepoints recorded of one load."""

import re
from collections import Counter
from dataclasses import dataclass

from orchestrator.findings.witness import TraceReading
from orchestrator.host.tracefs import HEADER, MARK_CONT, MARK_LOAD, POSTED_ELSEWHERE
from orchestrator.trial.guest_clock import cycles_between

# Such as "CPU 0/KVM-412 [001] d..1. 99.123456: kvm_apic_accept_irq: apicid 0 vec 64 (Fixed|edge)"
_EVENT = re.compile(r"^.*?\[\d+\]\s+\S+\s+\d+\.\d+: (\w+): (.*)$", re.M)
_VECTOR = re.compile(r"vec (\d+)")
# Such as "vcpu=0 prev=18446744071718838332 next=18446744071386105060", both modulo 2^64
_OFFSETS = re.compile(r"prev=(\d+) next=(\d+)")
# Such as "vcpu 0, rip 0xf0a3" and "vcpu=0 prev=5 next=7"; "apicid a vec 64" is hexadecimal.
_VCPU = re.compile(r"^(?:vcpu[ =](\d+)|apicid ([0-9a-f]+))\b")

#: Events that say that a LAPIC has accepted an interrupt. An interrupt that is posted has both.
_ACCEPTED = ("kvm_apic_accept_irq", "kvm_apicv_accept_irq")

#: The event that only a restore of the vCPU makes, just before and just after that of its LAPIC.
_RESTORED = "kvm_write_tsc_offset"


@dataclass(frozen=True, slots=True)
class TraceFinding:
    """How often a vCPU's LAPIC accepted the tick vector after a load."""

    in_load: int = 0
    """Acceptances between the load and the vCPU's first `kvm_entry` after it, or `cont` if
    KVM's back end has no such event."""
    later: int = 0
    """Acceptances after that."""
    others: tuple[int, ...] = ()
    """Other vectors that were accepted since the load."""
    unreadable: str = ""
    """Why the trace can't tell; empty if it can."""
    partial: bool = False
    """True if the guest may have taken a tick that was accepted unseen."""

    def reading(self, taken: int) -> TraceReading:
        """Return what this shows of a silent vCPU.

        Args:
            taken: ticks that the guest has taken since the load.
        """
        if not self.unreadable and self.in_load + self.later > taken:
            return TraceReading.VANISHED
        if self.unreadable or self.partial:
            return TraceReading.UNREADABLE
        return TraceReading.NEVER

    def sentence(self, vector: int, taken: int) -> str:
        """Return the finding in words."""
        if self.unreadable:
            return f"The kernel's trace can't tell: {self.unreadable}."
        said = (
            f"The kernel's trace shows vector {vector:#x} accepted {self.in_load} time(s) between "
            f"the load and the guest's next instruction, and {self.later} time(s) after that"
        )
        if self.others:
            said += f" (other vectors: {', '.join(map(hex, self.others))})"
        match self.reading(taken):
            case TraceReading.VANISHED:
                return said + ": it was accepted, and vanished."
            case TraceReading.NEVER:
                return said + ": the timer for which the guest waits never fired."
        return said + ", which does not tell whether the timer fired."


def last_load(text: str) -> str:
    """Return the line of a trace that names its events, and its part from the last load on."""
    at = text.rfind(MARK_LOAD)
    if at < 0:
        return text
    head = text.partition("\n")[0] + "\n" if text.startswith(HEADER) else ""
    return head + text[text.rfind("\n", 0, at) + 1 :]


def read_trace(text: str, vector: int, vcpu: int = 0) -> TraceFinding:
    """Count acceptances of a vCPU's tick vector since the last load."""
    head, _, _ = text.partition("\n")
    recorded = head.removeprefix(HEADER).split() if head.startswith(HEADER) else None
    names = {name.rpartition("/")[2] for name in recorded} if recorded is not None else None
    if names is not None and not names & set(_ACCEPTED):
        return TraceFinding(unreadable="it did not record which interrupts were accepted")
    if MARK_LOAD not in text:
        return TraceFinding(unreadable="it does not reach back to the load")
    events = [
        (name, detail)
        for name, detail in _EVENT.findall(last_load(text))
        if MARK_CONT in detail or _is_of(vcpu, detail)
    ]
    restores = [n for n, (name, _) in enumerate(events) if name == _RESTORED]
    entries = [n for n, (name, _) in enumerate(events) if name == "kvm_entry"]
    continued = [n for n, (_, detail) in enumerate(events) if MARK_CONT in detail]
    if not restores and names is not None and _RESTORED in names:
        return TraceFinding(unreadable="the recording began after the load")
    if not restores and not continued:
        return TraceFinding(unreadable="it does not show when the guest went on")
    # A guest that ran until the load may have taken ticks after the load's marker.
    began = max((n for n in entries if restores and n < restores[0]), default=-1)
    loaded = max([*restores, *continued[:1]])
    ran = next((n for n in entries if n > loaded), (continued or [len(events)])[0])
    accepted = _accepted(events)
    ticks = [n for n, accepted_vector in accepted if accepted_vector == vector and n > began]
    others = Counter(found for n, found in accepted if n > began and found != vector)
    in_load = sum(n < ran for n in ticks)
    return TraceFinding(
        in_load, len(ticks) - in_load, tuple(sorted(others)),
        partial=names is not None and POSTED_ELSEWHERE in names,
    )  # fmt: skip


def tsc_moved(text: str, vcpu: int = 0) -> int | None:
    """Return by how many TSC cycles the last load moved a vCPU's TSC offset.

    KVM keeps the offset, and returns 0 here, if it takes the TSC that is restored for an attempt
    to synchronise the vCPUs. Otherwise the offset moves so far that the guest's TSC goes on
    from the save. The offsets of a load into a new QEMU can't be compared: the new vCPU had none.

    Returns:
        The cycles, negative if the TSC went back; None if the trace does not show it.
    """
    if MARK_LOAD not in text:
        return None
    written = [
        (int(found[1]), int(found[2]))
        for name, detail in _EVENT.findall(last_load(text))
        if name == _RESTORED and _is_of(vcpu, detail) and (found := _OFFSETS.search(detail))
    ]
    if not written or not written[0][0]:
        return None
    return cycles_between(written[0][0], written[-1][1])


def _accepted(events: list[tuple[str, str]]) -> list[tuple[int, int]]:
    """Return the place and the vector of each acceptance."""
    kinds = {name for name, _ in events if name in _ACCEPTED}
    kind = _ACCEPTED[0] if _ACCEPTED[0] in kinds else _ACCEPTED[1]
    return [
        (n, int(found[1]))
        for n, (name, detail) in enumerate(events)
        if name == kind and (found := _VECTOR.search(detail))
    ]


def _is_of(vcpu: int, detail: str) -> bool:
    """Return whether an event belongs to a vCPU; an event that names none belongs to all."""
    said = _VCPU.match(detail)
    return said is None or vcpu == (int(said[1]) if said[1] else int(said[2], 16))
