"""Trials on a host whose time daemon corrects the clock's rate faster than it usually does.

A daemon that finds the time wrong by seconds can let CLOCK_MONOTONIC run some percent faster or
slower until it is right (chrony by up to 8.3 %). The kernel's timers go by this clock and the
guest's TSC does not: by the TSC, all ticks come too soon or too late, and no load did that.
"""

from dataclasses import replace

from orchestrator.findings.outcome import Outcome, TrialResult

#: Outcomes that do not come from a comparison with the host's time.
_TIMELESS = frozenset({Outcome.CRASHED, Outcome.NOT_LOADED, Outcome.UNKNOWN, Outcome.LOST})


def unless_slewed(result: TrialResult, rate: float) -> TrialResult:
    """Return a result without what a clock shows that did not run at its own rate.

    Args:
        result: of a trial.
        rate: by which fraction the host's clock ran too fast meanwhile; 0 if that was usual.
    """
    if not rate:
        return result
    why = (
        f"the host's clock ran {abs(rate):.1%} too {'fast' if rate > 0 else 'slow'} during the "
        "trial, as a time daemon corrects it: run it again when the clock is right (`chronyc "
        "tracking`, `ntpq -p` and `timedatectl timesync-status` show by how much it is wrong)"
    )
    return replace(
        result,
        vcpus=tuple(
            replace(part, gaps=())
            if part.outcome.ticked or part.outcome in _TIMELESS
            else replace(part, outcome=Outcome.UNKNOWN, why=f"{why}: {part.why}", gaps=())
            for part in result.vcpus
        ),
    )
