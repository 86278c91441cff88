from dataclasses import replace

import pytest

from orchestrator.bugs.catalogue import (
    APICV_BUG,
    CATALOGUE,
    CLOCK_JUMP,
    SECOND_LOAD,
    STALE_PREEMPTION_TIMER,
    STALE_SVI,
    STALE_TPR,
    TICK_STORM,
)
from orchestrator.bugs.exposure import ExposureState
from orchestrator.bugs.jargon import jargon
from orchestrator.bugs.known_bug import Symptom
from orchestrator.bugs.likeness import likenesses, proven
from orchestrator.findings.cause import Cause
from orchestrator.findings.outcome import Outcome
from orchestrator.guest.timer_mode import TimerMode
from orchestrator.testing import FACTS
from orchestrator.vm.config import Accel, IrqChip
from tests.support.places import DOCS

INTEL = {"kvm": {}, "kvm_intel": {"enable_apicv": "Y", "preemption_timer": "Y"}}

AMD = {"kvm": {}, "kvm_amd": {"avic": "Y"}}


def test_every_mode_of_the_lapic_timer_is_struck_or_spared_for_a_reason() -> None:
    lapic = {TimerMode.ONE_SHOT, TimerMode.PERIODIC, TimerMode.TSC_DEADLINE}
    assert {*APICV_BUG.signature.timers, *APICV_BUG.spared} >= lapic


def test_the_bug_strikes_a_timer_and_a_saved_state_in_which_it_fires_inside_the_load() -> None:
    assert APICV_BUG.strikes("one-shot", "armed")
    assert APICV_BUG.strikes("one-shot", "tpr")
    assert not APICV_BUG.strikes("one-shot", "pending")
    assert not APICV_BUG.strikes("periodic", "armed")


def test_names_are_unique_and_all_fields_are_filled() -> None:
    assert len({bug.name for bug in CATALOGUE}) == len(CATALOGUE)
    for bug in CATALOGUE:
        assert bug.signature.outcomes
        assert all((bug.effect, bug.affected_kernels, bug.fixed_by, bug.plain))
        assert jargon(bug.plain) == []
        assert bug.advice.endswith(".")
        assert not (bug.proves and bug.direct_only)


@pytest.mark.parametrize(
    ("symptom", "proves"),
    [
        (Symptom("one-shot", Outcome.LOST, Cause.LOST_INTERRUPT), True),
        (Symptom("one-shot", Outcome.LOST, Cause.LOST_INTERRUPT, first_tick=False), False),
        (
            Symptom("one-shot", Outcome.LOST, Cause.LOST_INTERRUPT, surplus_elsewhere=True),
            False,
        ),
        (Symptom("periodic", Outcome.LOST, Cause.LOST_INTERRUPT), False),
        (Symptom("one-shot", Outcome.LOST, Cause.NOT_STARTED), False),
        (Symptom("one-shot", Outcome.LOST, Cause.WRONG_VECTOR), False),
        (Symptom("one-shot", Outcome.LOST), False),
        (Symptom("one-shot", Outcome.EXTRA, Cause.LOST_INTERRUPT), False),
    ],
)
def test_only_the_diagnosed_first_tick_of_a_one_shot_timer_proves(
    symptom: Symptom, *, proves: bool
) -> None:
    assert proven(symptom) is proves


def names(
    symptom: Symptom, modules: dict[str, dict[str, str]], *, accel: Accel = Accel.KVM,
    irqchip: IrqChip = IrqChip.ON,
) -> list[str]:  # fmt: skip
    facts = replace(FACTS, kvm_modules=modules)
    return [each.bug.name for each in likenesses({symptom: 2}, facts, accel, irqchip)]


EXTRA = Symptom("periodic", Outcome.EXTRA)

STUCK = Symptom("one-shot", Outcome.LOST, Cause.IN_SERVICE)

PENDING = replace(STUCK, cause=Cause.PENDING)


def test_trials_are_likened_to_bugs_that_the_host_could_show() -> None:
    storms = [TICK_STORM.name, STALE_PREEMPTION_TIMER.name]
    assert names(EXTRA, INTEL) == storms
    assert names(EXTRA, {"kvm_intel": {"preemption_timer": "N"}}) == []
    assert names(EXTRA, {"kvm_intel": {}}) == storms  # unknown is not "can't"
    assert names(EXTRA, AMD) == names(EXTRA, {"kvm_pvm": {}}) == []
    assert names(EXTRA, INTEL, accel=Accel.TCG) == []
    assert names(replace(EXTRA, timer="tsc-deadline"), INTEL) == []
    assert names(Symptom("one-shot", Outcome.EARLY), INTEL) == [STALE_PREEMPTION_TIMER.name]
    assert names(Symptom("one-shot", Outcome.CLOCK), AMD) == [CLOCK_JUMP.name]
    assert names(Symptom("one-shot", Outcome.LATE), INTEL) == []


def test_a_tick_that_is_held_back_is_another_bug_on_intel_than_on_amd() -> None:
    assert names(STUCK, INTEL) == [STALE_SVI.name]
    assert names(STUCK, AMD, irqchip=IrqChip.SPLIT) == []
    assert names(PENDING, AMD) == []  # AVIC is inhibited
    assert names(PENDING, AMD, irqchip=IrqChip.SPLIT) == [STALE_TPR.name]
    assert names(PENDING, {"kvm_amd": {"avic": "N"}}, irqchip=IrqChip.SPLIT) == []


@pytest.mark.parametrize("irqchip", [IrqChip.ON, IrqChip.SPLIT])
def test_a_masked_timer_or_a_raised_tpr_looks_like_no_known_bug(irqchip: IrqChip) -> None:
    held = replace(STUCK, cause=Cause.NOT_DELIVERABLE)
    assert names(held, INTEL, irqchip=irqchip) == names(held, AMD, irqchip=irqchip) == []


def test_a_bug_of_the_second_save_needs_a_guest_that_was_loaded_before() -> None:
    forgotten = Symptom("one-shot", Outcome.LOST, Cause.NOT_RESTORED)
    assert names(forgotten, INTEL) == []
    assert names(replace(forgotten, loaded_before=True), INTEL) == [SECOND_LOAD.name]


def test_what_proves_or_needs_the_raw_ioctl_is_no_hint() -> None:
    assert names(Symptom("one-shot", Outcome.LOST, Cause.LOST_INTERRUPT), INTEL) == []


def test_a_likeness_claims_no_more_than_that() -> None:
    unknown = replace(FACTS, kvm_modules={"kvm_intel": {}})
    (storm, _) = likenesses({EXTRA: 3}, unknown, Accel.KVM, IrqChip.ON)
    assert storm.exposure.state is ExposureState.UNKNOWN
    assert str(storm).startswith(
        "3 of these look like the tick storm after a long stop (CVE-2025-71104), if this host "
        "can show it (kvm_intel has no readable parameter preemption_timer"
    )
    assert str(storm).endswith(TICK_STORM.advice)
    assert str(replace(storm, trials=1)).startswith("1 of these looks like the tick storm")
    sure = replace(FACTS, kvm_modules=INTEL)
    assert ", which makes KVM" in str(likenesses({EXTRA: 3}, sure, Accel.KVM, IrqChip.ON)[0])


def test_the_page_of_known_bugs_says_what_the_catalogue_says() -> None:
    page = (DOCS / "bugs.md").read_text()
    for bug in CATALOGUE:
        section = page.partition(f"## {bug.name[0].upper()}{bug.name[1:]}\n")[2].partition("\n## ")[
            0
        ]
        assert f"It {bug.effect}." in section
        for title, text in (
            ("kernels", bug.affected_kernels), ("fixed by", bug.fixed_by), ("advice", bug.advice),
        ):  # fmt: skip
            assert f"| {title} | {text} |" in section
        if not bug.direct_only:
            shows = section.partition("| shows |")[2].partition("|")[0]
            for word in (*bug.signature.outcomes, *bug.signature.causes, *bug.signature.timers):
                assert word in shows
        needs = bug.needs
        on = section.partition("| on |")[2].partition("|")[0]
        assert (
            f"`{needs.module}` with `{needs.parameter}=Y`" if needs.module else "any host"
        ) in on
        assert ("irqchip=split" in on) is needs.split_irqchip


def test_the_page_of_known_bugs_has_the_commits_of_the_catalogue() -> None:
    page = (DOCS / "bugs.md").read_text()
    for commit in APICV_BUG.commits:
        assert f"| {commit.hash} | {commit.subject} | {commit.role} |" in page
