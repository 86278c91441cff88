"""Reads what the kernel's tracepoints recorded of one load."""

import re
from dataclasses import dataclass

from orchestrator.trial.resume import MARK_CONT, MARK_LOAD

# Such as "CPU 0/KVM-412 [001] d..1. 99.123456: kvm_apic_accept_irq: apicid 0 vec 64 (Fixed|edge)"
_EVENT = re.compile(r"^.*?\[\d+\]\s+\S+\s+\d+\.\d+: (\w+): (.*)$", re.M)
_VECTOR = re.compile(r"vec (\d+)")
# Such as "vcpu 0, rip 0xf0a3" and "apicid 0 vec 64 (Fixed|edge)"
_VCPU = re.compile(r"^(?:vcpu|apicid) (\d+)\b")


@dataclass(frozen=True, slots=True)
class TraceFinding:
    """How often the LAPIC accepted the tick vector after a load."""

    in_load: int
    """Acceptances between the load and the first `kvm_entry` after `cont`, or `cont` itself
    if KVM's back end has no such event."""
    later: int
    """Acceptances after that."""

    @property
    def vanished(self) -> bool:
        """Whether the vector was accepted during the load, and never again."""
        return self.in_load > 0 and self.later == 0

    def sentence(self, vector: int) -> str:
        """Return the finding in words."""
        said = (
            f"The kernel's trace shows vector {vector:#x} accepted {self.in_load} time(s) between "
            f"the load and the guest's next instruction, and {self.later} time(s) after that"
        )
        return said + (": it was accepted, and vanished." if self.vanished else ".")


def last_load(text: str) -> str:
    """Return the part of a trace from the last load on."""
    at = text.rfind(MARK_LOAD)
    return text[text.rfind("\n", 0, at) + 1 :] if at >= 0 else text


def read_trace(text: str, vector: int, vcpu: int = 0) -> TraceFinding:
    """Count acceptances of a vCPU's tick vector since the last load."""
    events = _EVENT.findall(last_load(text))
    continued = next((n for n, (_, detail) in enumerate(events) if MARK_CONT in detail), None)
    if continued is None:
        ran = len(events)
    else:
        ran = next(
            (
                n for n, (name, detail) in enumerate(events)
                if n > continued and name == "kvm_entry" and _is_of(vcpu, detail)
            ),
            continued,
        )  # fmt: skip
    accepted = [
        n
        for n, (name, detail) in enumerate(events)
        if name in ("kvm_apic_accept_irq", "kvm_apicv_accept_irq")
        and (found := _VECTOR.search(detail))
        and int(found[1]) == vector
        and _is_of(vcpu, detail)
    ]
    in_load = sum(n < ran for n in accepted)
    return TraceFinding(in_load, len(accepted) - in_load)


def _is_of(vcpu: int, detail: str) -> bool:
    """Return whether an event belongs to a vCPU; an event that names none belongs to all."""
    said = _VCPU.match(detail)
    return said is None or int(said[1]) == vcpu
