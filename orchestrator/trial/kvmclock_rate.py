"""Tells whether kvmclock goes on at its rate after loads, by the guest's TSC.

A guest says its kvmclock only in the first line after KVM has changed it. Later, its memory has the
kvmclock of its last tick. Both are of a tick of which it noted the TSC as well, so the time between
them is known by both clocks, however busy the host is.
"""

from orchestrator.findings.outcome import Outcome, TrialResult, VcpuResult, combine
from orchestrator.findings.save import Save
from orchestrator.guest.state import GuestState
from orchestrator.trial.guest_clock import cycles_between
from orchestrator.trial.pace import Pace

#: How far kvmclock may be off, at least: KVM computes it anew while the guest runs, perhaps from
#: another clock of the host.
TOLERANCE_NS = 1_000_000

#: How far it may be off, as a fraction of the time.
_DRIFT = 0.01


def wrong_kvmclock_rate(pace: Pace, state: GuestState, period_ns: int) -> float | None:
    """Return how fast kvmclock has gone on, by the TSC; None if that is right, or not known.

    Nobody knows on a host whose kernel does not rely on its TSCs: kvmclock is another clock there.

    Args:
        pace: the vCPU's pace, with its clocks.
        state: the vCPU as it is now.
        period_ns: the timer's period.
    """
    said, told = pace.clocks.said, state.kvmclock_ns and state.printed == state.ticks
    if said is None or not (told and pace.known_cycles and pace.clocks.spread.synchronised):
        return None
    passed_ns = cycles_between(said.tsc, state.tick_tsc) / pace.cycles_per_ns(period_ns)
    went_ns = state.kvmclock_ns - said.kvmclock_ns
    if passed_ns <= 0 or abs(went_ns - passed_ns) <= TOLERANCE_NS + _DRIFT * passed_ns:
        return None
    return went_ns / passed_ns


def compare(save: Save, rates: dict[int, float | None]) -> TrialResult | None:
    """Return the result of a guest whose kvmclock goes at a wrong rate after loads of a save.

    None if none does, or if it did so before these loads as well.

    Args:
        save: the save.
        rates: the wrong rate of each vCPU.
    """
    parts = [
        VcpuResult(
            Outcome.CLOCK,
            why=f"ticks went on, but after loads of {save.tag} kvmclock goes on at {rate:.2f} of "
            "its rate, by the guest's TSC",
            ticks_after_load=2,
            vcpu=part.vcpu,
        )
        for part in save.vcpus
        if (rate := rates.get(part.vcpu)) is not None and part.wrong_kvmclock_rate is None
    ]
    return combine(parts) if parts else None
