"""Measurements of a host at a timer period. They say whether the period suits the host."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

#: Largest share of a period that the guest may spend on printing a tick line.
MOST_PRINTING = 0.25

#: Largest error, in periods, of ordinary gaps (at `GAPS_AT`) and of stops (at `STOPS_AT`).
MOST_ERROR = 0.1

#: Quantile of the gaps between ordinary ticks.
GAPS_AT = 0.99

#: Quantile of the stops.
STOPS_AT = 0.90


@dataclass(frozen=True, slots=True)
class PeriodTried:
    """A timer period that was tried on a host, and how well it worked.

    A value is None where the attempt ended before it was measured.
    """

    period_ns: int
    printing: float | None = None
    """Median share of the period that the guest spends on printing a tick line."""
    gap_error: float | None = None
    """The quantile `GAPS_AT` of the excess of ordinary gaps over a period, in periods of the
    guest's running time."""
    stop_error: float | None = None
    """The quantile `STOPS_AT` of the distance between a stop and its aim, in periods of the
    guest's running time."""
    gaps: int = 0
    """Number of gaps measured."""
    stops: int = 0
    """Number of stops measured."""
    failed: str = ""
    """Why the attempt ended early; empty if it did not."""

    @property
    def why_not(self) -> str:
        """Why the period does not suit the host; empty if it does."""
        if self.failed:
            return self.failed
        if self.printing is not None and self.printing > MOST_PRINTING:
            return f"printing takes {self.printing:.2f} periods"
        if self.gap_error is not None and self.gap_error > MOST_ERROR:
            return f"ordinary ticks come up to {self.gap_error:.2f} periods late"
        if self.stop_error is not None and self.stop_error > MOST_ERROR:
            return f"stops land up to {self.stop_error:.2f} periods from their aim"
        unknown = None in (self.printing, self.gap_error, self.stop_error)
        return "not everything was measured" if unknown else ""


def gap_error(errors: Sequence[float]) -> float:
    """Return the error of ordinary gaps from that of each, in periods."""
    return _quantile(errors, GAPS_AT)


def stop_error(errors: Sequence[float]) -> float:
    """Return the error of stops from that of each, in periods; early and late count alike."""
    return _quantile([abs(error) for error in errors], STOPS_AT)


def _quantile(values: Sequence[float], at: float) -> float:
    """Return a quantile by the nearest rank."""
    return sorted(values)[math.ceil(len(values) * at) - 1]


def in_words(period_ns: int, tried: Sequence[PeriodTried]) -> str:
    """Return which period was chosen, and why not the next shorter one."""
    chosen = f"the timer period is {_ms(period_ns)}"
    refused = [f"at {_ms(each.period_ns)} {each.why_not}" for each in tried if each.why_not]
    if not refused:
        return chosen
    longest = "" if len(refused) < len(tried) else ", the longest, because the host is busy"
    return f"{chosen}{longest} ({refused[-1]})"


def _ms(period_ns: int) -> str:
    return f"{period_ns / 1e6:.10g} ms"
