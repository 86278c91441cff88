"""The names of timers."""

import enum


class TimerMode(enum.StrEnum):
    """How the LAPIC timer is used."""

    ONE_SHOT = "one-shot"
    PERIODIC = "periodic"
    TSC_DEADLINE = "tsc-deadline"
