"""What the kernel's tracepoints say of one load."""

import re
from dataclasses import dataclass

from orchestrator.trial.trial import MARK_CONT, MARK_LOAD

# Such as "CPU 0/KVM-412 [001] d..1. 99.123456: kvm_apic_accept_irq: apicid 0 vec 64 (Fixed|edge)"
_EVENT = re.compile(r"^.*?\[\d+\]\s+\S+\s+(\d+\.\d+): (\w+): (.*)$", re.M)
_VECTOR = re.compile(r"vec (\d+)")


@dataclass(frozen=True, slots=True)
class TraceFinding:
    """The timer vector between a load and the first entry into the guest."""

    accepted_in_load: int
    """Times the LAPIC accepted the vector from the load to the first `kvm_entry` after it."""
    accepted_later: int
    entries: int
    """`kvm_entry` events since the load: none means that the trace says nothing."""

    @property
    def vanished(self) -> bool:
        """Whether the vector was accepted during the load, and never again."""
        return self.accepted_in_load > 0 and self.accepted_later == 0

    def sentence(self, vector: int) -> str:
        """Say it."""
        if not self.entries:
            return "The kernel's trace shows no entry into the guest."
        if self.accepted_in_load:
            return (
                f"The kernel's trace shows vector {vector:#x} accepted "
                f"{self.accepted_in_load} time(s) between the load and the first entry into the "
                f"guest, and {self.accepted_later} time(s) after it."
            )
        return (
            f"The kernel's trace shows vector {vector:#x} accepted neither between the load and "
            f"the first entry into the guest nor, but for {self.accepted_later} time(s), after it."
        )


def last_load(text: str) -> str:
    """Return the part of a trace that begins with the last load."""
    at = text.rfind(MARK_LOAD)
    return text[text.rfind("\n", 0, at) + 1 :] if at >= 0 else text


def read_trace(text: str, vector: int) -> TraceFinding:
    """Find the timer vector in what the kernel recorded since the last load."""
    in_load = later = entries = 0
    continued = False
    for _, name, detail in _EVENT.findall(last_load(text)):
        if MARK_CONT in detail:
            continued = True
        elif name == "kvm_entry" and continued:
            entries += 1
        elif name in ("kvm_apic_accept_irq", "kvm_apicv_accept_irq"):
            found = _VECTOR.search(detail)
            if found and int(found[1]) == vector:
                if entries:
                    later += 1
                else:
                    in_load += 1
    return TraceFinding(in_load, later, entries)
