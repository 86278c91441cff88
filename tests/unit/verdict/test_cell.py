from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.bugs.catalogue import APICV_BUG, TICK_STORM
from orchestrator.bugs.exposure import Exposure
from orchestrator.bugs.likeness import Likeness
from orchestrator.findings.cause import Cause
from orchestrator.findings.outcome import LATE, Outcome
from orchestrator.guest.saved_state import SavedState
from orchestrator.plan.goals import Goals
from orchestrator.stats.rate import Losses, loss_rate
from orchestrator.stats.save_effect import BySave
from orchestrator.verdict import known_bug as module
from orchestrator.verdict.case import Case, Tally
from orchestrator.verdict.cell import decide
from orchestrator.verdict.verdict import Verdict
from tests.support.exposures import EXPOSED, NOT_EXPOSED
from tests.support.saves import by_save


def verdict(
    outcomes: dict[Outcome, int],
    causes: dict[Cause, int] | None = None,
    *,
    unknown_attempts: int = 0,
    controls_seen: int = 2,
    bug_losses: int | None = None,
    exposed: Exposure = EXPOSED,
) -> Verdict:
    if bug_losses is None:
        bug_losses = (causes or {}).get(Cause.LOST_INTERRUPT, 0)
    tally = Tally(
        Counter(outcomes), Counter(causes or {}), bug_losses,
        sum(outcomes.values()) + unknown_attempts, unknown_attempts, controls_seen, 2,
    )  # fmt: skip
    rate = loss_rate(
        Losses(tally.trials, tally.outcomes[Outcome.LOST], tally.outcomes[Outcome.UNKNOWN]), 0.95
    )
    return decide(Case(tally, rate, 0.01, exposed))[0]


def test_299_loads_without_a_loss_are_clean_and_298_are_not() -> None:
    assert Goals().planned == 299
    assert verdict({Outcome.IMMEDIATE: 299}) is Verdict.CLEAN
    assert verdict({Outcome.IMMEDIATE: 298}) is Verdict.INCONCLUSIVE


def test_an_unresolved_unknown_counts_as_a_loss_in_the_bound() -> None:
    assert verdict({Outcome.IMMEDIATE: 298, Outcome.UNKNOWN: 1}) is Verdict.INCONCLUSIVE
    assert verdict({Outcome.IMMEDIATE: 500, Outcome.UNKNOWN: 1}) is Verdict.CLEAN


@pytest.mark.parametrize(("later", "noted"), [(1, False), (2, True), (150, True), (298, False)])
def test_a_mix_of_classes_is_said(later: int, noted: bool) -> None:
    tally = Tally(
        Counter({Outcome.IMMEDIATE: 299 - later, Outcome.FULL_PERIOD: later}), Counter(), 0,
        299, 0, 2, 2,
    )  # fmt: skip
    found, why = decide(Case(tally, loss_rate(Losses(299, 0, 0), 0.95), 0.01, EXPOSED))
    assert found is Verdict.CLEAN
    assert (f"at once after {299 - later} loads and after a whole period" in why) is noted


def test_no_clean_without_the_controls() -> None:
    assert verdict({Outcome.IMMEDIATE: 299}, controls_seen=1) is Verdict.INCONCLUSIVE


@pytest.mark.parametrize("found", [None, Outcome.LOST])
def test_no_clean_with_a_control_whose_load_restored_no_timer(found: Outcome | None) -> None:
    """On an affected kernel the load of a control loses its interrupt, as other loads do."""
    said = "the load did not restore the timer, or lost its interrupt"
    outcomes = Counter({Outcome.IMMEDIATE: 299}) + Counter({found: 1} if found else {})
    tally = Tally(outcomes, Counter(), 0, 299, 0, 2, 2, unrestored=said)
    verdict, why = decide(Case(tally, loss_rate(Losses(299, 0, 0), 0.95), 0.01, EXPOSED))
    assert verdict is (Verdict.ANOMALOUS if found else Verdict.INCONCLUSIVE)
    assert (said in why) is (found is None)


def test_a_control_tells_nothing_of_saves_in_which_no_timer_runs() -> None:
    """An affected kernel loses the control's timer, and keeps a tick that is pending."""
    said = "the load did not restore the timer, or lost its interrupt"
    tally = Tally(Counter({Outcome.IMMEDIATE: 299}), Counter(), 0, 299, 0, 2, 2, unrestored=said)
    case = Case(tally, loss_rate(Losses(299, 0, 0), 0.95), 0.01, EXPOSED, timer_in_saves=False)
    verdict, why = decide(case)
    assert verdict is Verdict.CLEAN
    assert f"In a control, {said}. No timer runs in the saves of this cell: `--state armed`" in why
    running = [state for state in SavedState if state.timer_runs]
    assert running == [SavedState.ARMED, SavedState.IN_SERVICE, SavedState.TPR]


@pytest.mark.parametrize("found", [Outcome.CRASHED, Outcome.LOST, Outcome.EXTRA, Outcome.CLOCK])
def test_unknown_attempts_hide_no_fault_that_was_found(found: Outcome) -> None:
    assert verdict({found: 1, Outcome.IMMEDIATE: 9}, unknown_attempts=9) is Verdict.ANOMALOUS


def test_a_verdict_names_what_attempts_that_ended_unknown_showed() -> None:
    tally = Tally(Counter({Outcome.UNKNOWN: 3}), Counter({Cause.CONSOLE_DEAD: 3}), 0, 9, 9, 2, 2)
    found, text = decide(Case(tally, loss_rate(Losses(3, 0, 3), 0.95), 0.01, EXPOSED))
    assert found is Verdict.INCONCLUSIVE
    assert text.startswith("9 of 9 attempts ended unknown, more than 5% (3 console dead)")


def test_no_clean_beyond_five_percent_unknown() -> None:
    assert verdict({Outcome.IMMEDIATE: 299}, unknown_attempts=15) is Verdict.CLEAN
    assert verdict({Outcome.IMMEDIATE: 299}, unknown_attempts=16) is Verdict.INCONCLUSIVE
    assert verdict({Outcome.IMMEDIATE: 380}, unknown_attempts=20) is Verdict.CLEAN  # 5 %


@pytest.mark.parametrize(
    ("causes", "exposed", "expected"),
    [
        ({Cause.LOST_INTERRUPT: 1}, EXPOSED, Verdict.AFFECTED),
        ({Cause.LOST_INTERRUPT: 1}, NOT_EXPOSED, Verdict.ANOMALOUS),
        ({Cause.NOT_RESTORED: 1}, EXPOSED, Verdict.ANOMALOUS),
        ({Cause.HARNESS_FAULT: 1}, EXPOSED, Verdict.ANOMALOUS),
    ],
)
def test_only_a_diagnosed_loss_on_an_exposed_host_is_affected(
    causes: dict[Cause, int], exposed: Exposure, expected: Verdict
) -> None:
    outcomes = {Outcome.IMMEDIATE: 298, Outcome.LOST: 1}
    assert verdict(outcomes, causes, exposed=exposed) is expected


def test_an_interrupt_that_was_lost_later_is_not_the_bug() -> None:
    """It loses the first tick after a load; here ticks went on before they stopped."""
    outcomes = {Outcome.IMMEDIATE: 298, Outcome.LOST: 1}
    assert verdict(outcomes, {Cause.LOST_INTERRUPT: 1}, bug_losses=0) is Verdict.ANOMALOUS


@pytest.mark.parametrize(
    "outcome",
    [
        each for each in Outcome
        if not each.ticked and each not in LATE and each is not Outcome.UNKNOWN
    ],
)  # fmt: skip
def test_every_outcome_that_needs_no_baseline_is_anomalous(outcome: Outcome) -> None:
    found, text = why({Outcome.IMMEDIATE: 298, outcome: 1})
    assert found is Verdict.ANOMALOUS
    assert text.startswith(f"1 {outcome} in 299 loads; ")
    kept = "; no load lost its timer, so this is not the APICv bug; " in text
    assert kept is (outcome is not Outcome.LOST)


def test_an_anomalous_verdict_names_the_known_bugs_that_it_looks_like() -> None:
    case = Case(
        Tally(Counter({Outcome.IMMEDIATE: 297, Outcome.EXTRA: 2}), Counter(), 0, 299, 0, 2, 2),
        loss_rate(Losses(299, 0), 0.95), 0.01, EXPOSED,
        (Likeness(TICK_STORM, 2, EXPOSED),),
    )  # fmt: skip
    found, text = decide(case)
    assert found is Verdict.ANOMALOUS
    assert ". 2 of these look like the tick storm after a long stop" in text
    assert text.endswith("preemption_timer=0")
    assert "look like" not in decide(replace(case, likenesses=()))[1]


def why(
    outcomes: dict[Outcome, int], *, bug_losses: int = 0, unknown_attempts: int = 0,
    saves: BySave | None = None, planned: int | None = None, cells: int = 1, controls_seen: int = 2,
) -> tuple[Verdict, str]:  # fmt: skip
    causes = Counter({Cause.LOST_INTERRUPT: bug_losses}) if bug_losses else Counter()
    tally = Tally(
        Counter(outcomes), causes, bug_losses, sum(outcomes.values()) + unknown_attempts,
        unknown_attempts, controls_seen, 2, planned, cells,
    )  # fmt: skip
    losses = Losses(
        tally.trials, tally.outcomes[Outcome.LOST], tally.outcomes[Outcome.UNKNOWN],
        saves or BySave(),
    )  # fmt: skip
    return decide(Case(tally, loss_rate(losses, 0.95), 0.01, EXPOSED))


def test_a_clean_verdict_says_what_it_rules_out_and_what_a_tenth_takes() -> None:
    assert why({Outcome.IMMEDIATE: 299}, saves=by_save(*[25] * 11, 24), unknown_attempts=2) == (
        Verdict.CLEAN,
        "no loss in 299 loads; this rules out loss rates above 0.997% at 95% confidence "
        "(only rates above 2.077% if each of the 2 unknown attempts was a loss; only rates above "
        "22.092% if losses depend on the save: 12 saves were tested). To rule out a tenth of this "
        "rate, run 2,705 more loads",
    )


def test_an_affected_verdict_does_too() -> None:
    _, text = why({Outcome.LOST: 10, Outcome.IMMEDIATE: 10}, bug_losses=10)
    assert "this rules out loss rates below 30.195% and above 69.805% at 95%" in text
    assert "98 loads without a loss rule out a tenth of 30.195%" in text


def test_with_a_loss_both_bounds_are_named() -> None:
    """Losses at loads 10 and 20 of two saves: nothing says that they depend on the save."""
    saves = by_save(25, 25, -10, 25, -20, 25)
    assert not saves.differ
    _, text = why({Outcome.IMMEDIATE: 128, Outcome.LOST: 2}, bug_losses=2, saves=saves)
    assert (
        "; this rules out loss rates below 0.274% and above 4.764% at 95% confidence if losses do "
        "not depend on the save, and loss rates above 52.643% for the first load of a new save in "
        "any case (6 saves were tested). A save is given up at its first loss, so these rates say "
        "nothing of the loads that would have followed. After a repair, 10,9" in text
    )


def test_saves_that_lose_their_first_load_say_nothing_of_their_other_loads() -> None:
    saves = by_save(*[-1] * 20)
    _, text = why({Outcome.LOST: 20}, bug_losses=20, saves=saves)
    assert "this rules out loss rates below 86.089% at 95% confidence if losses do not" in text
    assert "for the first load of a new save in any case (20 saves were tested)" in text
    assert "A save is given up at its first loss" in text
    assert "given up" not in why({Outcome.LOST: 20}, bug_losses=20)[1]  # each save is loaded once


def test_where_losses_depend_on_the_save_only_the_bound_over_saves_is_named() -> None:
    saves = by_save(*[-1, 25] * 12)
    assert saves.differ
    _, text = why({Outcome.IMMEDIATE: 300, Outcome.LOST: 12}, bug_losses=12, saves=saves)
    assert (
        "for the first load of a new save at 95% confidence (24 saves were tested, and losses "
        "depend on the save). A save is given up" in text
    )
    assert "if losses do not depend" not in text


@pytest.mark.parametrize(
    ("how", "what_to_do"),
    [
        (
            {"controls_seen": 1},
            "The evidence folders of the controls say why. Run it again while the host is less "
            "busy",
        ),
        (
            {"unknown_attempts": 100},
            "Run it again while the host is less busy, or with a longer --period",
        ),
    ],
)
def test_where_the_observer_can_not_be_trusted_nothing_is_ruled_out(
    how: dict[str, int], what_to_do: str
) -> None:
    found, text = why({Outcome.IMMEDIATE: 299}, **how)  # type: ignore[arg-type]
    assert found is Verdict.INCONCLUSIVE
    assert text.endswith(f"; no loss rate is ruled out. {what_to_do}")


@pytest.mark.parametrize(
    ("shown", "how", "what_to_do"),
    [
        (
            {Outcome.UNKNOWN: 1},
            {},
            "Run it again while the host is less busy, or with more loads",
        ),
        (
            {},
            {"failed_saves": 3, "failed_save_why": "the guest did not tick."},
            "The last time, the guest did not tick. Run it again while the host is less busy",
        ),
        (
            {},
            {"stopped_unloaded": Counter({Outcome.LOST: 1}), "stopped_why": "no tick in 90 ms."},
            "The last time: no tick in 90 ms. Run it again: if ticks stop again without a load, "
            "this is no fault of loads",
        ),
        (
            {},
            {"ask_witness_by": "`losttick lab probe`", "unrestored": "its timer did not run"},
            "The evidence folder of that control says more. `losttick lab probe` tells whether "
            "the kernel restores a timer without QEMU",
        ),
    ],
)
def test_a_cell_that_is_inconclusive_says_what_to_do(
    shown: dict[Outcome, int], how: dict[str, object], what_to_do: str
) -> None:
    how, outcomes = dict(how), Counter({Outcome.IMMEDIATE: 299 - len(shown), **shown})
    tally = Tally(
        outcomes, Counter(), 0, 299, 0, 2, 2, unrestored=str(how.pop("unrestored", ""))
    )  # fmt: skip
    rate = loss_rate(Losses(299, 0, outcomes[Outcome.UNKNOWN]), 0.95)
    found, text = decide(Case(tally, rate, 0.01, EXPOSED, **how))  # type: ignore[arg-type]
    assert found is Verdict.INCONCLUSIVE
    assert what_to_do in text


def test_one_diagnosed_loss_in_a_million_loads_may_be_the_observers_error() -> None:
    million = {Outcome.IMMEDIATE: 999_999, Outcome.LOST: 1}
    found, text = why(million, bug_losses=1, planned=1_000_000)
    assert found is Verdict.ANOMALOUS
    assert "could be the observer's error in so many loads: 4 are needed to be sure" in text
    assert why(million, bug_losses=4, planned=1_000_000)[0] is Verdict.AFFECTED
    assert why({Outcome.IMMEDIATE: 298, Outcome.LOST: 1}, bug_losses=1)[0] is Verdict.AFFECTED


def test_the_cells_of_a_run_share_the_error_of_a_false_affected() -> None:
    losses = {Outcome.IMMEDIATE: 4999, Outcome.LOST: 1}
    assert why(losses, bug_losses=1)[0] is Verdict.AFFECTED
    assert why(losses, bug_losses=1, cells=12)[0] is Verdict.ANOMALOUS


def test_a_bound_that_is_just_the_rate_to_rule_out_is_clean() -> None:
    """One load rules out 95 % at 95 % confidence."""
    tally = Tally(Counter({Outcome.IMMEDIATE: 1}), Counter(), 0, 1, 0, 2, 2)
    assert decide(Case(tally, loss_rate(Losses(1, 0), 0.95), 0.95, EXPOSED))[0] is Verdict.CLEAN


@given(
    st.integers(1, 400), st.integers(0, 400), st.integers(0, 20), st.integers(0, 2),
    st.integers(0, 20),
)  # fmt: skip
def test_clean_is_never_given_away(
    ticked: int, lost: int, unresolved: int, controls_seen: int, retried: int
) -> None:
    outcomes = {Outcome.IMMEDIATE: ticked, Outcome.LOST: lost, Outcome.UNKNOWN: unresolved}
    found, _ = why(
        outcomes, unknown_attempts=unresolved + retried, controls_seen=controls_seen
    )  # fmt: skip
    if found is Verdict.CLEAN:
        assert lost == 0
        assert controls_seen == 2
        assert ticked + unresolved >= 299
    more = why(
        {**outcomes, Outcome.UNKNOWN: unresolved + 1},
        unknown_attempts=unresolved + retried + 1, controls_seen=controls_seen,
    )[0]  # fmt: skip
    if found is not Verdict.CLEAN and not (ticked + unresolved + 1 == 299 and not unresolved):
        assert more is not Verdict.CLEAN  # an unknown never helps


@pytest.mark.parametrize(
    ("causes", "bug_losses", "exposed", "words"),
    [
        ({Cause.LOST_INTERRUPT: 1}, 1, NOT_EXPOSED, "so this is not the {name};"),
        ({Cause.LOST_INTERRUPT: 1}, 1, EXPOSED, "; 1 diagnosed as the {name} could be"),
        ({Cause.LOST_INTERRUPT: 1}, 0, EXPOSED, "; the {name} {effect};"),
        ({Cause.PENDING: 1}, 0, EXPOSED, "; none was diagnosed as a {cause};"),
    ],
)
def test_why_a_loss_is_not_the_known_bug_is_said_in_the_catalogue_s_words(
    causes: dict[Cause, int],
    bug_losses: int,
    exposed: Exposure,
    words: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    planned = 10**6  # so many loads that one loss may be the observer's error
    for bug in (APICV_BUG, replace(APICV_BUG, name="other bug", effect="eats ticks")):
        monkeypatch.setattr(module, "APICV_BUG", bug)
        tally = Tally(
            Counter({Outcome.LOST: 1}), Counter(causes), bug_losses, 1, 0, 2, 2, planned=planned
        )
        got, text = decide(Case(tally, loss_rate(Losses(1, 1, 0), 0.95), 0.01, exposed))
        assert got is Verdict.ANOMALOUS
        assert words.format(name=bug.name, effect=bug.effect, cause=Cause.LOST_INTERRUPT) in text
