"""The entry of a known bug: how it shows, which hosts can show it, and what helps."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from orchestrator.findings.cause import Cause
from orchestrator.findings.outcome import Outcome


@dataclass(frozen=True, slots=True)
class Symptom:
    """The observations of one trial that a signature can match."""

    timer: str
    """The timer by which the guest ticked."""
    outcome: Outcome
    cause: Cause | None = None
    """The diagnosis; None if there was none."""
    first_tick: bool = True
    """True if no tick came between the load and the trouble."""
    loaded_before: bool = False
    """True if the guest had been through a load before it was saved."""
    surplus_elsewhere: bool = False
    """True if another vCPU had a tick too many or too early."""


@dataclass(frozen=True, slots=True)
class Signature:
    """The symptoms that fit a bug. An empty set means that anything fits."""

    outcomes: frozenset[Outcome]
    causes: frozenset[Cause] = frozenset()
    timers: frozenset[str] = frozenset()
    first_tick_only: bool = False
    """True if the bug can only strike the first tick after a load."""
    own_vector_only: bool = False
    """True if the bug brings interrupts on the tick's own vector only."""
    loaded_before_only: bool = False
    """True if the bug can only strike a guest that was loaded before it was saved."""
    no_surplus: bool = False
    """True if the bug brings no vCPU a tick too many, such as one that another vCPU lost."""

    def fits(self, symptom: Symptom) -> bool:
        """Return whether a trial showed this."""
        return (
            symptom.outcome in self.outcomes
            and (not self.causes or symptom.cause in self.causes)
            and (not self.timers or symptom.timer in self.timers)
            and not (self.own_vector_only and symptom.cause is Cause.WRONG_VECTOR)
            and (symptom.first_tick or not self.first_tick_only)
            and (symptom.loaded_before or not self.loaded_before_only)
            and not (symptom.surplus_elsewhere and self.no_surplus)
        )


@dataclass(frozen=True, slots=True)
class Needs:
    """The parts of a host without which a bug cannot show."""

    module: str | None = None
    """The back end of KVM that has the bug; None if any program or kernel may have it."""
    parameter: str | None = None
    """The parameter of the module that must be on."""
    without: str = ""
    """The part that is missing while the parameter is off, as the end of a sentence."""
    split_irqchip: bool = False
    """True if the bug shows only with `irqchip=split`."""


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit of the kernel that has to do with a bug."""

    hash: str
    subject: str
    role: str
    """Its part in the bug, as the end of a sentence that begins with its hash."""


@dataclass(frozen=True, slots=True)
class KnownBug:
    """A bug whose signature, victims and remedies are known."""

    name: str
    """Its name, which a sentence can put after "the"."""
    signature: Signature
    effect: str
    """All that it does to a guest, as the end of a sentence that begins with its name."""
    needs: Needs
    affected_kernels: str
    """Programs or kernels that have it. A version is a hint, never a verdict: distributions
    backport."""
    fixed_by: str
    """The commit that fixes it, with the first releases that have it."""
    advice: str
    """The advice to the owner of a host that has the bug, as a sentence."""
    plain: str
    """The clause that tells its victim of it, for a person who does not know the hardware."""
    commits: tuple[Commit, ...] = ()
    """The commits that made the bug and mended it, in the order in which they were written."""
    proves: bool = False
    """True if enough trials with its signature make a host `affected`. A resemblance to any
    other bug is a hint, because something else can show the same."""
    direct_only: bool = False
    """True if no load by QEMU can meet it, and only the direct test shows it."""
    spared: Mapping[str, str] = field(default_factory=dict)
    """Timers of which it is known why the bug does not show in them, with the reason."""
    spared_states: Mapping[str, str] = field(default_factory=dict)
    """States of a saved LAPIC in which the bug cannot show, with the reason."""

    def strikes(self, timer: str, state: str = "") -> bool:
        """Return whether the bug can show in guests that tick by this timer.

        Args:
            timer: the timer.
            state: the state of the LAPIC in the saves; empty for one in which it can show.
        """
        struck = not self.signature.timers or timer in self.signature.timers
        return struck and state not in self.spared_states
