"""The names of the timers that losttick ships."""

import enum


class TimerMode(enum.StrEnum):
    """A mode of the LAPIC timer, or another timer.

    Code that handles any timer takes its name as a plain string and asks the registry in
    `timers/registry.py`; nothing else compares modes.
    """

    ONE_SHOT = "one-shot"
    PERIODIC = "periodic"
    TSC_DEADLINE = "tsc-deadline"
    HV_STIMER = "hv-stimer"
    PIT = "pit"
    RTC = "rtc"
