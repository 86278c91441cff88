"""The Hyper-V timer: when its first tick is due, and what its guest's testimony shows."""

from dataclasses import replace

import pytest

from orchestrator.findings.cause import Cause
from orchestrator.findings.outcome import Outcome
from orchestrator.guest import lines
from orchestrator.guest.lapic import parse_lapic
from orchestrator.timers.first_tick import ResumeTiming, Span, classify
from orchestrator.timers.registry import TIMERS
from orchestrator.timers.timer import Hearing
from tests.support.places import GOLDEN

TIMER = TIMERS["hv-stimer"]

#: The timer is over, nothing is pending or in service, and interrupts are on.
OVER = lines.Testimony(
    number=1, lvtt=0x10040, tmict=0, tmcct=0, irr=0, isr=0, ppr=0, tpr=0, deadline=0,
    progress=10_000, ticks=7, arms=8, flags=0x246, cs=0xF000, ip=0x34,
)  # fmt: skip


def explained(*, rescued: bool = True, **changes: int) -> tuple[Cause, str]:
    """Return what the timer makes of two testimonies."""
    first = replace(OVER, **changes)  # type: ignore[arg-type]  # the fields are numbers
    last = replace(first, number=2, progress=14_000)
    told = Hearing("no tick", [first, last], 0x40, 0, 0x10000, 1000.0, rescued, deadline=0x5000)
    return TIMER.explain_silence(told)


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({}, Cause.LOST_STIMER),
        ({"arms": 7}, Cause.NOT_REARMED),
        ({"arms": 9}, Cause.UNEXPLAINED),
        ({"flags": 0x46}, Cause.NOT_DELIVERABLE),
        ({"ppr": 0x40}, Cause.NOT_DELIVERABLE),
        ({"isr": 1}, Cause.IN_SERVICE),
        ({"irr": 1}, Cause.PENDING),
        ({"irr": 2}, Cause.WRONG_VECTOR),
        ({"irr_elsewhere": 0x33}, Cause.WRONG_VECTOR),
        ({"deadline": 0x5000}, Cause.NOT_STARTED),
        ({"deadline": 0x6000}, Cause.NOT_RESTORED),
    ],
)
def test_what_the_testimony_says(changes: dict[str, int], cause: Cause) -> None:
    assert explained(**changes)[0] is cause


def test_a_masked_lvtt_is_in_nobodys_way() -> None:
    """The interrupt of the Hyper-V timer has no entry in the local vector table."""
    lapic = replace(parse_lapic((GOLDEN / "info-lapic-7.2-kvm.txt").read_text()), lvtt=0x10040)
    assert lapic.masked
    assert not TIMER.masked(lapic, 0x40)


def test_a_re_arm_that_brings_nothing_back_explains_nothing() -> None:
    assert explained(rescued=False)[0] is Cause.UNEXPLAINED
    assert explained(rescued=False, deadline=0x5000)[0] is Cause.UNEXPLAINED


@pytest.mark.parametrize(
    ("came", "outcome"),
    [
        (0.0, Outcome.IMMEDIATE),
        (0.6, Outcome.REMAINING),
        (1.0, Outcome.LATE),
        (1.8, Outcome.MISSED),
    ],
)
def test_the_first_tick(came: float, outcome: Outcome) -> None:
    due = TIMER.due(0.4, ResumeTiming(since_load=0.2, loading=0.3))
    assert classify(Span(came, came), due) is outcome


def test_the_control() -> None:
    assert TIMER.control_lost(Outcome.LOST, Cause.LOST_STIMER)
    assert not TIMER.control_lost(Outcome.LOST, Cause.PENDING)
    assert not TIMER.control_lost(Outcome.MISSED, None)
    assert TIMER.control_periods(200_000_000) == 6
