"""The known bugs: how each one shows, which timers it strikes, and what helps."""

from collections.abc import Mapping
from dataclasses import dataclass

from orchestrator.findings.cause import Cause
from orchestrator.findings.outcome import Outcome
from orchestrator.guest.timer_mode import TimerMode


@dataclass(frozen=True, slots=True)
class KnownBug:
    """A bug whose signature, victims and remedies are known."""

    name: str
    outcome: Outcome
    """Outcome of a trial in which it strikes."""
    cause: Cause
    """Diagnosis of such a trial."""
    ticks_after_load: int
    """Ticks that come after the load, before it strikes."""
    timer: str
    """The timer that it strikes."""
    effect: str
    """All that it does to a guest, as the end of a sentence that begins with its name."""
    spared: Mapping[str, str]
    """Other timers of which it is known why the bug does not freeze them, with the reason."""
    affected_kernels: str
    """Kernels that have it. A version is a hint, never a verdict: distributions backport."""
    fixed_by: str
    """The commit that fixes it, with the first releases that have it."""
    advice: str
    """The advice to the owner of a host that has the bug."""

    def strikes(self, timer: str) -> bool:
        """Return whether guests that tick by this timer can be frozen by it."""
        return timer == self.timer

    def shows_in(self, timer: str, ticks_after_load: int) -> bool:
        """Return whether a loss with this bug's outcome and cause would be its work.

        Args:
            timer: the timer by which the guest ticked.
            ticks_after_load: ticks that came between the load and the loss.
        """
        return self.strikes(timer) and ticks_after_load == self.ticks_after_load


#: KVM drops the interrupt of a one-shot timer that expires inside KVM_SET_LAPIC: commit
#: 8e6ed96cdd50 lets the restored timer fire there, which with APICv sets a bit in the
#: posted-interrupt request; commit 967235d32032 clears that request later in the same ioctl.
APICV_BUG = KnownBug(
    name="APICv bug",
    outcome=Outcome.LOST,
    cause=Cause.LOST_INTERRUPT,
    ticks_after_load=0,
    timer=TimerMode.ONE_SHOT,
    effect="loses only the first tick of a one-shot timer after a load",
    spared={
        TimerMode.TSC_DEADLINE: (
            "QEMU restores the deadline after the LAPIC: in TSC-deadline mode the bug should "
            "not show"
        ),
        TimerMode.PERIODIC: (
            "the bug freezes one-shot timers: a periodic timer goes on, and loses a tick at most"
        ),
    },
    affected_kernels="6.3.x, 6.4.x, 6.5.0 to 6.5.12, 6.6.0 to 6.6.2",
    fixed_by="9cfec6d097c6 (6.5.13, 6.6.3, 6.7 and later)",
    advice=(
        "Boot a kernel with commit 9cfec6d097c6 (6.5.13, 6.6.3, 6.7 and later have it; "
        "distributions backport it), or load kvm_intel with enable_apicv=0."
    ),
)

CATALOGUE = (APICV_BUG,)
