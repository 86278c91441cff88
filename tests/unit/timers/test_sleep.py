from dataclasses import replace
from typing import Any

import pytest

from orchestrator.findings.cause import Cause
from orchestrator.guest.lapic import Lapic
from orchestrator.timers.registry import TIMERS
from orchestrator.timers.timer import Sleep

VECTOR = 0xEC
NONE: frozenset[int] = frozenset()

#: A timer of 59 ms, 400 ms after the silence was proven.
SAVED = Lapic(VECTOR, 3_700_000, NONE, NONE, divide=16, tpr=0x10)
ASLEEP = Sleep("no tick in 500 ms", VECTOR, SAVED, SAVED, silent_ns=400_000_000, slept=True)


def explained(mode: str = "one-shot", **lapic: Any) -> tuple[Cause, str]:
    return TIMERS[mode].explain_sleep(replace(ASLEEP, lapic=replace(SAVED, **lapic)))


def test_a_lost_interrupt_of_an_idle_guest_claims_less() -> None:
    cause, sentence = explained()
    assert cause is Cause.LOST_INTERRUPT
    assert "one-shot LAPIC timer expired or was never started" in sentence
    assert "takes 59.2 ms, had 400 ms" in sentence
    assert "nobody saw the current count, or that a re-arm brings ticks back" in sentence
    assert "its kernel did not answer SysRq" in sentence


@pytest.mark.parametrize(
    ("overdue_ns", "cause", "words"),
    [
        (340_000_000, Cause.LOST_INTERRUPT, "waits for an interrupt that was due 340.0 ms ago"),
        (-2_000_000, Cause.UNEXPLAINED, "waits for no interrupt that was due"),
    ],
)
def test_the_account_of_its_kernel(overdue_ns: int, cause: Cause, words: str) -> None:
    found, sentence = TIMERS["one-shot"].explain_sleep(replace(ASLEEP, overdue_ns=overdue_ns))
    assert found is cause
    assert words in sentence


def test_a_witness_says_that_it_expired() -> None:
    _, sentence = TIMERS["one-shot"].explain_sleep(replace(ASLEEP, fired=True))
    assert "timer expired, and" in sentence


@pytest.mark.parametrize(
    ("lapic", "cause"),
    [
        ({"lvtt": VECTOR | 0x10000}, Cause.NOT_DELIVERABLE),
        ({"lvtt": 0xF1}, Cause.NOT_DELIVERABLE),
        ({"lvtt": VECTOR | 0x20000}, Cause.NOT_RESTORED),
        ({"tmict": 0}, Cause.NOT_RESTORED),
        ({"irr": frozenset({VECTOR})}, Cause.PENDING),
        ({"irr": frozenset({0xFD})}, Cause.WRONG_VECTOR),
        ({"isr": frozenset({0xFD})}, Cause.IN_SERVICE),
        ({"tpr": 0xE0}, Cause.NOT_DELIVERABLE),
        ({"tmict": 30_000_000}, Cause.UNEXPLAINED),  # it has yet to expire
    ],
)
def test_one_thing_is_different(lapic: dict[str, Any], cause: Cause) -> None:
    assert explained(**lapic)[0] is cause


def test_a_thread_that_ran_may_have_taken_an_interrupt() -> None:
    cause, sentence = TIMERS["one-shot"].explain_sleep(replace(ASLEEP, slept=False))
    assert cause is Cause.UNEXPLAINED
    assert "cannot testify" in sentence


@pytest.mark.parametrize("mode", ["periodic", "tsc-deadline", "pit", "rtc"])
@pytest.mark.parametrize("tmict", [0, SAVED.tmict])
def test_no_other_timer_stands_expired(mode: str, tmict: int) -> None:
    """A periodic timer would have come back, and `info lapic` shows nothing of the others."""
    sleep = replace(ASLEEP, lapic=replace(SAVED, tmict=tmict))
    assert TIMERS[mode].explain_sleep(sleep)[0] is Cause.UNEXPLAINED
