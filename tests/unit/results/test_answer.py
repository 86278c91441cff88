"""The answer in a paragraph, for a person who does not know the hardware."""

from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.bugs.catalogue import APICV_BUG, CLOCK_JUMP, NARROW_RACE
from orchestrator.bugs.exposure import Exposure, ExposureState, Reason
from orchestrator.bugs.jargon import jargon
from orchestrator.bugs.likeness import Likeness
from orchestrator.findings.lab import LabIdentity
from orchestrator.findings.outcome import Outcome
from orchestrator.results.explain import first_paragraph
from orchestrator.results.report import Report, read_report
from orchestrator.stats.rate import Losses, loss_rate
from orchestrator.verdict.verdict import Verdict
from tests.support.reports import probe, turned
from tests.support.run_folders import OLD_JOURNALS, make_run_folder


@pytest.fixture
def affected(tmp_path: Path) -> Report:
    return read_report(make_run_folder("affected", tmp_path))


@pytest.mark.parametrize("name", OLD_JOURNALS)
def test_no_answer_has_a_word_that_its_reader_does_not_know(name: str, tmp_path: Path) -> None:
    report = read_report(make_run_folder(name, tmp_path))
    for verdict in Verdict:
        for command in ("run", "lab run"):
            for interrupted in (None, "a signal stopped it"):
                other = turned(report, verdict)
                other = replace(other, command=command, interrupted=interrupted)
                said = first_paragraph(other)
                assert jargon(said) == []
                assert said.endswith(".")
                assert "\n" not in said
                assert len(said) > 80


def test_a_reason_with_jargon_is_left_to_other_readers(affected: Report) -> None:
    plain = turned(affected, Verdict.SKIPPED, why="there is no file named qemu here")
    assert "The reason: there is no file named qemu here." in first_paragraph(plain)
    hard = turned(affected, Verdict.SKIPPED, why="the lapic has no TMICT")
    assert "The reason" not in first_paragraph(hard)


def test_an_affected_computer_is_told_what_happens_and_what_helps(affected: Report) -> None:
    said = first_paragraph(affected)
    assert APICV_BUG.plain in said
    assert "A virtual machine froze after 3 of 3 loads." in said
    assert "`losttick explain` gives the commands" in said
    assert "Install a newer kernel" in said
    assert "without their snapshot" in said


def test_a_kernel_in_a_lab_says_nothing_about_this_computer(affected: Report) -> None:
    lab = LabIdentity("debian:bookworm", "6.1.176-1", "untouched", True, "Bochs")
    said = first_paragraph(replace(turned(affected, Verdict.AFFECTED, lab=lab), command="lab run"))
    assert "The Linux kernel 6.1.176-1 on an emulated computer has" in said
    assert "nothing about the kernel that this computer runs" in said
    assert "Install a newer kernel" not in said


@pytest.mark.parametrize(
    ("state", "reason", "words"),
    [
        (
            ExposureState.EXPOSED,
            Reason.APICV_ON,
            "would have shown nearly every time, so it is not here",
        ),
        (ExposureState.NOT_EXPOSED, Reason.AMD, "this one is AMD's"),
        (ExposureState.NOT_EXPOSED, Reason.APICV_OFF, "missing or switched off"),
        (ExposureState.NOT_EXPOSED, Reason.TCG, "says nothing about virtual machines that use it"),
        (ExposureState.NOT_EXPOSED, Reason.SAVED_STATE, "settings with which the known bug cannot"),
        (ExposureState.UNKNOWN, Reason.NO_PARAMETERS, "only a weak sign"),
    ],
)
def test_a_clean_result_claims_what_the_exposure_allows(
    state: ExposureState, reason: Reason, words: str, affected: Report
) -> None:
    clean = turned(affected, Verdict.CLEAN, exposure=Exposure(state, "so it is", reason), lost=0)
    said = first_paragraph(clean)
    assert words in said
    assert ("so it is not here" in said) is (state is ExposureState.EXPOSED)


@pytest.mark.parametrize(("loads", "bound"), [(3, "63%"), (1000, "0.3%")])
def test_a_clean_result_names_what_so_few_loads_can_miss(
    loads: int, bound: str, affected: Report
) -> None:
    exposed = Exposure(ExposureState.EXPOSED, "so it is", Reason.APICV_ON)
    rate = loss_rate(Losses(loads, 0), 0.95)
    clean = turned(affected, Verdict.CLEAN, exposure=exposed, lost=0, trials=loads, rate=rate)
    said = first_paragraph(clean)
    assert f"at 95% confidence, that fewer than {bound} of all loads freeze" in said
    assert jargon(said) == []


@pytest.fixture
def odd(tmp_path: Path) -> Report:
    return read_report(make_run_folder("pending", tmp_path))


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        (Outcome.CRASHED, "crashed, or its QEMU did"),
        (Outcome.RECOVERED, "stood still for a while"),
        (Outcome.NOT_LOADED, "ran on as if nothing had been loaded"),
        (Outcome.CLOCK, "ran on with a clock that was wrong"),
        (Outcome.EXTRA, "was interrupted where nothing was due"),
        (Outcome.RATE, "ran on with a timer of the wrong speed"),
        (Outcome.EARLY, "had its timer go off too early"),
        (Outcome.LATE, "had its timer go off too late"),
        (Outcome.MISSED, "had its timer go off too late"),
    ],
)
def test_what_went_wrong_without_a_loss_is_said_in_plain_words(
    outcome: Outcome, words: str, odd: Report
) -> None:
    said = first_paragraph(turned(odd, Verdict.ANOMALOUS, lost=0, outcomes={str(outcome): 2}))
    assert words in said
    assert "not the known bug" in said


def test_a_likeness_is_a_hint(affected: Report) -> None:
    (case,) = affected.cases
    like = (Likeness(CLOCK_JUMP, 2, case.exposure),)
    (result,) = affected.result.cells  # type: ignore[union-attr]  # it is a run
    immune = replace(result, exposure=Exposure(ExposureState.NOT_EXPOSED, "", Reason.AMD))
    odd = turned(affected, Verdict.ANOMALOUS, known_bugs=like)
    assert "too rarely to be sure" in first_paragraph(odd)
    odd = replace(odd, result=replace(affected.result, cells=[immune]))
    assert f"only a hint: {CLOCK_JUMP.plain}" in first_paragraph(odd)
    assert "too rarely" not in first_paragraph(odd)


def test_the_narrow_race_does_not_explain_an_emulator_that_freezes() -> None:
    said = first_paragraph(probe((0, 0), (1, 100), (1_000_000, 0)))
    assert NARROW_RACE.plain in said
    assert "does not explain an emulator that freezes" in said
    said = first_paragraph(probe((0, 100), (1, 100), (1_000_000, 0)))
    assert NARROW_RACE.plain not in said
    assert APICV_BUG.plain in said
    assert "shows it 200 times in 300" in said


def test_a_run_that_goes_on_or_took_the_host_down_says_so_first(affected: Report) -> None:
    said = first_paragraph(replace(affected, interrupted="a signal stopped it"))
    assert said.startswith("The test has not come to its end. So far: ")
    said = first_paragraph(replace(affected, went_down="in trial 3 of a cell"))
    assert said.startswith("The computer went down while the test ran.")


def test_the_words_are_found_in_any_spelling_and_commands_are_not_words() -> None:
    assert jargon("The lapic's TMICT, and an APICv-less CPU") == ["LAPIC", "TMICT"]
    assert jargon("modprobe kvm_intel enable_apicv=0, if that helps") == []
    assert jargon("the flag IF is 1") == ["IF"]
