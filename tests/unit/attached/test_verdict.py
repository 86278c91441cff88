"""The verdict of trials in a guest that ran already, from what was seen."""

import pytest

from orchestrator.attached.trials import Loaded, Saved, Trials
from orchestrator.attached.verdict import conclude
from orchestrator.bugs.exposure import Exposure, ExposureState
from orchestrator.guest.lapic import Lapic
from orchestrator.look.look import Condition
from orchestrator.stats.bounds import exact_low, ruled_out
from orchestrator.verdict.verdict import Verdict

EXPOSED = Exposure(ExposureState.EXPOSED, "kvm_intel runs with enable_apicv=Y")
SPARED = Exposure(ExposureState.NOT_EXPOSED, "it is an AMD host")
BUG, OTHERWISE, ALIVE, UNKNOWN = (
    Condition.FROZEN_BY_BUG, Condition.FROZEN_OTHERWISE, Condition.ALIVE, Condition.UNKNOWN,
)  # fmt: skip


def trials(*seen: Condition, evidence: bool = True, ended: str = "", per_save: int = 25) -> Trials:
    loads = [
        Loaded(each, f"why {number}", 0, 1 + number // per_save, evidence)
        for number, each in enumerate(seen)
    ]
    saves = [Saved(0, (), (0,) if evidence else (), 1)]
    return Trials(len(loads), "losttick-x", saves, loads, ended)


@pytest.mark.parametrize(
    ("seen", "verdict"),
    [
        ([ALIVE] * 3, Verdict.CLEAN),
        ([ALIVE, BUG, ALIVE], Verdict.AFFECTED),
        ([BUG, OTHERWISE, UNKNOWN], Verdict.AFFECTED),
        ([ALIVE, OTHERWISE, UNKNOWN], Verdict.ANOMALOUS),
        ([ALIVE] * 10 + [UNKNOWN], Verdict.INCONCLUSIVE),
        ([ALIVE] * 30 + [UNKNOWN], Verdict.CLEAN),
        ([], Verdict.INCONCLUSIVE),
    ],
)
def test_verdicts(seen: list[Condition], verdict: Verdict) -> None:
    found = conclude(trials(*seen), EXPOSED, 0.95)
    assert found.verdict is verdict
    assert found.loads == len(seen)


def test_a_freeze_has_no_second_witness() -> None:
    found = conclude(trials(ALIVE, BUG), EXPOSED, 0.95)
    assert "expired or never started: no second witness tells which" in found.why
    assert "`losttick probe` asks one" in found.why


def test_bounds_without_a_freeze() -> None:
    found = conclude(trials(*[ALIVE] * 50), EXPOSED, 0.95)
    assert found.rate.high == ruled_out(50, 0.95)
    assert found.saves == 2
    assert found.over_saves == ruled_out(2, 0.95), "only the first load of each save counts"


def test_bounds_of_freezes_count_the_unknown_as_frozen() -> None:
    found = conclude(trials(BUG, BUG, BUG), EXPOSED, 0.95)
    assert (found.rate.low, found.rate.high) == (exact_low(3, 3, 0.95), 1.0)
    assert found.over_saves is None
    hidden = conclude(trials(*[ALIVE] * 30, UNKNOWN), EXPOSED, 0.95)
    assert hidden.rate.high > ruled_out(30, 0.95)
    assert hidden.over_saves is None


def test_saves_without_an_armed_timer_are_no_evidence() -> None:
    found = conclude(trials(ALIVE, ALIVE, evidence=False), EXPOSED, 0.95)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "TSC-deadline" in found.why


@pytest.mark.parametrize(
    ("lvtt", "words"),
    [(0xEC, "at each of 20 stops its interrupt was already pending"), (0x400EC, "TSC-deadline")],
)
def test_a_timer_whose_interrupt_was_always_pending_is_no_other_timer(
    lvtt: int, words: str
) -> None:
    seen = trials(ALIVE, ALIVE, evidence=False)
    lapic = Lapic(lvtt, 1000, frozenset({0xEC}), frozenset(), divide=16)
    seen.saves[:] = [Saved(0, (lapic,), (), 20)]
    found = conclude(seen, EXPOSED, 0.95)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert words in found.why


def test_a_host_that_cannot_have_the_bug_shows_nothing_of_it() -> None:
    found = conclude(trials(ALIVE), SPARED, 0.95)
    assert found.verdict is Verdict.CLEAN
    assert "AMD" in found.why


def test_an_early_end_is_inconclusive() -> None:
    found = conclude(trials(ALIVE, ended="QEMU could not load"), EXPOSED, 0.95)
    assert (found.verdict, found.why) == (Verdict.INCONCLUSIVE, "QEMU could not load")
