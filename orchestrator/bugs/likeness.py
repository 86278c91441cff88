"""Known bugs that a cell's trials look like."""

from collections.abc import Mapping
from dataclasses import dataclass

from orchestrator.bugs.catalogue import CATALOGUE
from orchestrator.bugs.exposure import Exposure, ExposureState, exposure
from orchestrator.bugs.known_bug import KnownBug, Symptom
from orchestrator.host.facts import HostFacts
from orchestrator.vm.config import Accel, IrqChip


@dataclass(frozen=True, slots=True)
class Likeness:
    """A known bug whose signature some trials have, on a host that could show it."""

    bug: KnownBug
    trials: int
    """Trials with its signature."""
    exposure: Exposure

    def __str__(self) -> str:
        """Return a sentence that claims no more than the resemblance."""
        possible = (
            ""
            if self.exposure.state is ExposureState.EXPOSED
            else f", if this host can show it ({self.exposure.why})"
        )
        look = "looks" if self.trials == 1 else "look"
        return (
            f"{self.trials} of these {look} like the {self.bug.name}{possible}, which "
            f"{self.bug.effect} (kernels: {self.bug.affected_kernels}; fixed by: "
            f"{self.bug.fixed_by}). {self.bug.advice}"
        )


def proven(symptom: Symptom) -> bool:
    """Return whether enough such trials make a host `affected`."""
    return any(bug.proves and bug.signature.fits(symptom) for bug in CATALOGUE)


def likenesses(
    symptoms: Mapping[Symptom, int], facts: HostFacts, accel: Accel, irqchip: IrqChip
) -> tuple[Likeness, ...]:
    """Return the known bugs that trials look like, without the bug that proves `affected`.

    Args:
        symptoms: how many trials showed each symptom.
        facts: the host.
        accel: the accelerator that runs the guest.
        irqchip: where KVM has the guest's interrupt controllers.
    """
    found = []
    for bug in CATALOGUE:
        fitting = [symptom for symptom in symptoms if bug.signature.fits(symptom)]
        if bug.proves or bug.direct_only or not fitting:
            continue
        exposed = exposure(facts, accel, fitting[0].timer, irqchip, bug)
        if exposed.state is not ExposureState.NOT_EXPOSED:
            found.append(Likeness(bug, sum(symptoms[each] for each in fitting), exposed))
    return tuple(found)
