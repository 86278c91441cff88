"""The counts of a direct test of KVM_SET_LAPIC."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Series:
    """Trials that restored the timer with one current count."""

    tmcct_ns: int
    """The restored TMCCT, in nanoseconds. QEMU always restores 0."""
    trials: int
    lost: int
    pending: int
    """Trials in which KVM_GET_LAPIC showed the vector in the IRR right after KVM_SET_LAPIC."""
    mean_ns: int
    """Mean time from the restore to the interrupt."""
    seconds: float


@dataclass(frozen=True, slots=True)
class DirectCounts:
    """The counts of a finished direct test on one host."""

    series: tuple[Series, ...]
    """One for each TMCCT."""
    control: Series
    """Timers restored without being armed, which never fire: each must be lost."""
