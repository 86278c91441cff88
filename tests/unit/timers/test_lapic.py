from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from orchestrator.findings.cause import Cause
from orchestrator.findings.outcome import Outcome
from orchestrator.guest import lines
from orchestrator.guest.lapic import Lapic
from orchestrator.guest.state import GuestState, Stage
from orchestrator.timers.first_tick import ResumeTiming
from orchestrator.timers.registry import TIMERS
from orchestrator.timers.timer import Hearing

VECTOR, TMICT, DEADLINE = 0x40, 20_000_000, 77 << 32

NO_CHANGE: Mapping[str, int] = {}

#: A timer that expired, with nothing pending or in the way, one arming more than ticks.
EXPIRED = lines.Testimony(
    number=1, lvtt=VECTOR, tmict=TMICT, tmcct=0, irr=0, isr=0, ppr=0, tpr=0, deadline=0,
    progress=10_000, ticks=7, arms=8, flags=0x246, cs=0xF000, ip=0x34,
)  # fmt: skip


def cause_of(
    mode: str, fields: Mapping[str, int] = NO_CHANGE, *, apart: float = 2.0, rescued: bool = True
) -> Cause:
    """Return what a timer makes of two testimonies; a period takes 1000 of progress."""
    first = replace(EXPIRED, **fields)
    last = replace(first, number=2, progress=first.progress + round(1000 * apart))
    cause, sentence = TIMERS[mode].explain_silence(hearing([first, last], rescued=rescued))
    print(sentence)
    return cause


def hearing(testimonies: list[lines.Testimony], **facts: Any) -> Hearing:
    """Return what a silent vCPU said, and what else is known of it."""
    why = "no tick in 200 ms of vCPU time"
    return Hearing(
        **{
            "why": why, "testimonies": testimonies, "vector": VECTOR, "tmict": TMICT,
            "lvtt": EXPIRED.lvtt,
            "progress_per_period": 1000.0, "rescued": True, "deadline": DEADLINE, **facts,
        }
    )  # fmt: skip


EXPIRED_TWICE = [EXPIRED, replace(EXPIRED, number=2, progress=EXPIRED.progress + 2000)]


@pytest.mark.parametrize(
    ("mode", "fired", "cause", "words"),
    [
        ("one-shot", False, Cause.LOST_INTERRUPT, "one-shot LAPIC timer expired or was never"),
        ("one-shot", True, Cause.LOST_INTERRUPT, "one-shot LAPIC timer expired, and its"),
        ("tsc-deadline", False, Cause.DEADLINE_GONE, "0x4d00000000 that the guest wrote is gone"),
        ("tsc-deadline", True, Cause.LOST_DEADLINE, "0x4d00000000 that the guest wrote passed"),
    ],
)
def test_only_a_witness_says_that_the_timer_expired(
    mode: str, fired: bool, cause: Cause, words: str
) -> None:
    found, sentence = TIMERS[mode].explain_silence(hearing(EXPIRED_TWICE, fired=fired))
    assert found is cause
    assert words in sentence


@pytest.mark.parametrize(
    ("irr", "isr", "cause"),
    [
        ({0x41}, set(), Cause.WRONG_VECTOR),
        ({VECTOR}, set(), Cause.PENDING),
        (set(), {0x31}, Cause.WRONG_VECTOR),
        (set(), set(), Cause.LOST_INTERRUPT),
    ],
)
def test_qemu_and_the_guest_must_both_find_irr_and_isr_clear(
    irr: set[int], isr: set[int], cause: Cause
) -> None:
    lapic = Lapic(VECTOR, TMICT, frozenset(irr), frozenset(isr))
    assert TIMERS["one-shot"].explain_silence(hearing(EXPIRED_TWICE, lapic=lapic))[0] is cause


def test_time_asleep_counts_for_a_guest_without_progress() -> None:
    still = [EXPIRED, replace(EXPIRED, number=2)]
    for slept, cause in (
        (None, Cause.UNEXPLAINED),
        (1.0, Cause.UNEXPLAINED),
        (1.1, Cause.LOST_INTERRUPT),
    ):
        found, _ = TIMERS["one-shot"].explain_silence(hearing(still, slept_periods=slept))
        assert found is cause


@pytest.mark.parametrize(
    ("mode", "cause"),
    [
        ("one-shot", Cause.LOST_INTERRUPT),
        ("tsc-deadline", Cause.DEADLINE_GONE),
        ("periodic", Cause.NOT_STARTED),  # it never stands expired
    ],
)
def test_an_expired_timer(mode: str, cause: Cause) -> None:
    assert cause_of(mode) is cause


@pytest.mark.parametrize(
    ("mode", "fields", "cause"),
    [
        ("one-shot", {"arms": 7}, Cause.NOT_REARMED),
        ("one-shot", {"arms": 9}, Cause.UNEXPLAINED),
        ("one-shot", {"tmict": 0}, Cause.NOT_RESTORED),
        ("tsc-deadline", {"tmict": 0}, Cause.DEADLINE_GONE),  # this mode leaves TMICT at 0
        ("one-shot", {"tmcct": 1}, Cause.UNEXPLAINED),
        ("tsc-deadline", {"tmcct": 1}, Cause.DEADLINE_GONE),  # TMCCT is another mode's
        ("tsc-deadline", {"deadline": 1}, Cause.NOT_RESTORED),  # the guest wrote another
        ("tsc-deadline", {"deadline": DEADLINE}, Cause.UNEXPLAINED),  # it has yet to pass
        ("one-shot", {"deadline": 1}, Cause.LOST_INTERRUPT),
        ("one-shot", {"lvtt": 0x10040}, Cause.NOT_DELIVERABLE),
        ("one-shot", {"lvtt": 0x41}, Cause.NOT_DELIVERABLE),
        ("one-shot", {"flags": 0x46}, Cause.NOT_DELIVERABLE),
        ("one-shot", {"lvtt": 0x20040}, Cause.NOT_RESTORED),  # it was periodic in the save
        ("one-shot", {"lvtt": 0x440}, Cause.NOT_RESTORED),  # an NMI
        ("one-shot", {"lvtt": 0xFFFFFFFF}, Cause.NOT_RESTORED),  # the guest has no LAPIC
        ("one-shot", {"isr": 1}, Cause.IN_SERVICE),
        ("one-shot", {"isr_elsewhere": 0xEC}, Cause.IN_SERVICE),
        ("one-shot", {"ppr": 0x40}, Cause.NOT_DELIVERABLE),
        ("one-shot", {"irr": 1}, Cause.PENDING),
        ("one-shot", {"irr": 2}, Cause.WRONG_VECTOR),  # 0x41 is pending
        ("one-shot", {"irr_elsewhere": 0xEC}, Cause.WRONG_VECTOR),
        ("one-shot", {"isr_elsewhere": 0x31}, Cause.WRONG_VECTOR),
        ("tsc-deadline", {"irr_elsewhere": 0xEC}, Cause.WRONG_VECTOR),
        ("periodic", {"irr": 1}, Cause.PENDING),
    ],
)
def test_one_thing_is_different(mode: str, fields: dict[str, int], cause: Cause) -> None:
    assert cause_of(mode, fields) is cause


def test_a_lost_interrupt_needs_a_rescue_and_more_than_a_period_between_testimonies() -> None:
    assert cause_of("one-shot", rescued=False) is Cause.UNEXPLAINED
    assert cause_of("one-shot", apart=1.0) is Cause.UNEXPLAINED
    assert cause_of("one-shot", apart=1.1) is Cause.LOST_INTERRUPT


@pytest.mark.parametrize(
    ("mode", "tmict", "armed"),
    [("one-shot", 0, False), ("periodic", 0, False), ("tsc-deadline", 0, True)],
)
def test_what_counts_as_armed(mode: str, tmict: int, armed: bool) -> None:
    state = GuestState(False, 7, 8, 500, 7, Stage.TICKING, 0)
    lapic = Lapic(VECTOR, tmict, frozenset(), frozenset())
    assert TIMERS[mode].armed(state, lapic) is armed
    assert TIMERS[mode].armed(state, replace(lapic, tmict=TMICT))
    assert not TIMERS[mode].armed(replace(state, arms=7), replace(lapic, tmict=TMICT))


@pytest.mark.parametrize(
    ("mode", "outcome", "cause", "seen"),
    [
        ("one-shot", Outcome.LOST, Cause.LOST_INTERRUPT, True),
        ("one-shot", Outcome.LOST, Cause.UNEXPLAINED, False),
        ("one-shot", Outcome.MISSED, None, False),
        ("tsc-deadline", Outcome.LOST, Cause.LOST_DEADLINE, True),
        ("tsc-deadline", Outcome.LOST, Cause.DEADLINE_GONE, True),
        ("tsc-deadline", Outcome.LOST, Cause.WRONG_VECTOR, False),
        ("periodic", Outcome.MISSED, None, True),
        ("periodic", Outcome.RECOVERED, None, True),
        ("periodic", Outcome.LOST, Cause.LOST_INTERRUPT, False),
    ],
)
def test_what_an_injected_loss_looks_like(
    mode: str, outcome: Outcome, cause: Cause | None, seen: bool
) -> None:
    assert TIMERS[mode].control_lost(outcome, cause) is seen


def test_only_tsc_deadline_has_a_cpu_that_offers_it() -> None:
    features = {timer.name: timer.cpu_features for timer in TIMERS}
    assert features == {
        "one-shot": "-tsc-deadline",
        "periodic": "-tsc-deadline",
        "tsc-deadline": "+tsc-deadline",
        "hv-stimer": ("-tsc-deadline,hv-vpindex,hv-synic,hv-time,hv-stimer,hv-stimer-direct"),
        "pit": "-tsc-deadline",
        "rtc": "-tsc-deadline",
    }


@pytest.mark.parametrize(
    ("mode", "resumed", "classes"),
    [
        ("one-shot", ResumeTiming(), {"immediate", "full-period", "remaining"}),
        # Its period begins anew, so that no tick is there at once.
        ("periodic", ResumeTiming(), {"full-period", "remaining"}),
        # QEMU keeps the time that is left of its own LAPIC's period.
        ("one-shot", ResumeTiming(lapic_stood=True), {"remaining"}),
        ("periodic", ResumeTiming(lapic_stood=True), {"remaining"}),
        # The deadline is restored.
        ("tsc-deadline", ResumeTiming(), {"immediate", "remaining"}),
    ],
)
def test_which_first_ticks_a_load_can_have(
    mode: str, resumed: ResumeTiming, classes: set[str]
) -> None:
    assert {kind.value for kind in TIMERS[mode].due(0.5, resumed)} == classes


def under_a_kernel(
    first: lines.KernelTimer, last: lines.KernelTimer, **fields: int
) -> tuple[Cause, str]:
    """Return what a timer makes of a kernel that waited for its timer in two testimonies."""
    said = [
        replace(each, kernel=kernel, **fields)
        for each, kernel in zip(EXPIRED_TWICE, (first, last), strict=True)
    ]
    timer = TIMERS["one-shot"].under_a_kernel(0.2)
    return timer.explain_silence(hearing(said))


def later(ms: int, interrupts: int = 647, event_ms: int = 100) -> lines.KernelTimer:
    """Return the account of a kernel some time after its timer was due at first."""
    return lines.KernelTimer(interrupts, 100_000_000 + ms * 1_000_000, event_ms * 1_000_000)


def test_a_kernel_that_waits_for_an_interrupt_has_lost_it() -> None:
    cause, sentence = under_a_kernel(later(9), later(49))
    assert cause is Cause.LOST_INTERRUPT
    assert "647 timer interrupts, and the kernel waits for one that was due 49.0 ms ago" in sentence


def test_a_kernel_programs_another_count_at_each_interrupt() -> None:
    """Its last one may have come after the save."""
    assert under_a_kernel(later(9), later(49), tmict=TMICT - 77)[0] is Cause.LOST_INTERRUPT


@pytest.mark.parametrize(
    ("first", "last", "fields", "cause"),
    [
        (later(9), later(49), {"tmict": 0}, Cause.NOT_RESTORED),
        (later(9), later(49), {"arms": 7}, Cause.NOT_REARMED),
        (later(9), later(49, interrupts=648), {}, Cause.UNEXPLAINED),
        (later(9), later(49, event_ms=104), {}, Cause.UNEXPLAINED),
        (later(9), later(49, event_ms=200), {}, Cause.UNEXPLAINED),
        (later(-9), later(-4), {}, Cause.UNEXPLAINED),
        (later(9), later(49), {"tmcct": 5}, Cause.UNEXPLAINED),
        (later(9), later(49), {"irr": 1}, Cause.PENDING),
    ],
)
def test_one_thing_is_different_under_a_kernel(
    first: lines.KernelTimer, last: lines.KernelTimer, fields: dict[str, int], cause: Cause
) -> None:
    assert under_a_kernel(first, last, **fields)[0] is cause


def test_a_kernel_ticks_by_its_own_clock() -> None:
    """A late tick delays no other, and yet a lost interrupt of a one-shot timer is the last."""
    timer = TIMERS["one-shot"].under_a_kernel(0.2)
    assert (timer.reloads, timer.goes_on) == (True, False)
    assert (TIMERS["one-shot"].reloads, TIMERS["one-shot"].goes_on) == (False, False)
    assert TIMERS["periodic"].goes_on


def test_no_program_of_a_kernel_reads_the_deadline() -> None:
    said = [
        replace(each, kernel=later(ms), lvtt=VECTOR | 0x40000)
        for each, ms in zip(EXPIRED_TWICE, (9, 49), strict=True)
    ]
    heard = hearing(said, lvtt=VECTOR | 0x40000, deadline=0)
    cause, sentence = TIMERS["tsc-deadline"].under_a_kernel(0.2).explain_silence(heard)
    assert cause is Cause.DEADLINE_GONE
    assert "the TSC deadline for which the guest's kernel waits is gone" in sentence
    said = [replace(each, kernel=later(-9)) for each in said]
    heard = replace(heard, testimonies=said)
    assert TIMERS["tsc-deadline"].explain_silence(heard)[0] is Cause.UNEXPLAINED
