"""Runs compared, from their folders: answers, what is left out, and what may be blamed."""

from pathlib import Path

import pytest

from orchestrator.findings.outcome import Outcome
from orchestrator.results.comparison.arm import NoArmError, read_arm
from orchestrator.results.comparison.compare import Answer, Comparison, compare, letter
from orchestrator.results.comparison.exit import CompareFailOn, comparison_exit, judged_shifts
from orchestrator.results.comparison.shifts import Shifted
from orchestrator.results.comparison.words import answer, arm_notes, cell_notes, cell_sentence
from orchestrator.results.exit_code import ExitCode
from tests.support.golden_reports import laid
from tests.support.made_runs import (
    FULL,
    TICK,
    UNKNOWN,
    Load,
    exactly,
    losing,
    make_run,
    other,
)

WORSE, CANT_TELL = CompareFailOn.WORSE, CompareFailOn.CANT_TELL


def compared(*folders: Path, **how: object) -> Comparison:
    return compare([read_arm(each, each.name) for each in folders], **how)  # type: ignore[arg-type]  # by name


def told(found: Comparison) -> list[Answer]:
    return [cell.answer for cell in found.cells]


def test_four_answers(tmp_path: Path) -> None:
    clean = make_run(tmp_path / "clean", losing(0))
    again = make_run(tmp_path / "again", losing(0))
    bad = make_run(tmp_path / "bad", losing(0.1))
    few = make_run(tmp_path / "few", losing(0, 40), trials=40)
    assert told(compared(clean, again, bad, few)) == [
        Answer.SAME, Answer.WORSE, Answer.CANT_TELL,
    ]  # fmt: skip
    assert told(compared(bad, clean)) == [Answer.BETTER]


def test_the_smallest_margin_is_said_over_loads_and_over_saves(tmp_path: Path) -> None:
    found = compared(make_run(tmp_path / "a", losing(0)), make_run(tmp_path / "b", losing(0)))
    (cell,) = found.cells
    assert cell.margin == 0.02  # twice the plan's 1 %
    assert answer(cell) == "same within 0.997%"
    assert "or by at most 22.1% if losses depend on the save" in cell_sentence(cell, found.pairs[0])


def test_a_smaller_margin_needs_more_loads(tmp_path: Path) -> None:
    runs = [make_run(tmp_path / name, losing(0)) for name in "ab"]
    found = compared(*runs, margin=0.002)
    (cell,) = found.cells
    assert cell.answer is Answer.CANT_TELL
    assert cell.more_loads is not None
    assert 1490 - 299 <= cell.more_loads <= 1520 - 299
    assert "more loads would" in answer(cell)
    assert "more in A and" in cell_sentence(cell, found.pairs[0])


def test_the_named_loads_do_tell(tmp_path: Path) -> None:
    """At the rates that were seen, the loads that are named lead to an answer."""
    runs = [
        make_run(tmp_path / "a", exactly(0, 299)),
        make_run(tmp_path / "b", losing(0.01, seed=3)),
    ]
    (cell,) = compared(*runs).cells
    assert cell.answer is Answer.CANT_TELL
    assert cell.loads_wanted is not None
    lost = round((cell.rates[1].estimate or 0) * cell.loads_wanted)
    more = [
        make_run(tmp_path / "c", exactly(0, cell.loads_wanted), trials=cell.loads_wanted),
        make_run(
            tmp_path / "d", exactly(lost, cell.loads_wanted), trials=cell.loads_wanted
        ),
    ]  # fmt: skip
    assert told(compared(*more)) != [Answer.CANT_TELL]


def test_too_few_saves_can_not_differ_and_it_is_said_how_many_can(tmp_path: Path) -> None:
    a = make_run(tmp_path / "a", losing(0, 50), trials=50)
    b = make_run(tmp_path / "b", [*exactly(2, 27)], trials=27)
    found = compared(a, b)
    (cell,) = found.cells
    assert cell.saves_wanted == 4
    assert cell.answer is Answer.CANT_TELL
    assert "At least 4 saves a run are needed" in cell_sentence(cell, found.pairs[0])


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ({"controls": 0}, "it had no control"),
        ({"unseen": 1}, "only 1 of its 2 controls were seen"),
    ],
)
def test_a_run_that_may_have_missed_losses_tells_nothing(
    tmp_path: Path, how: dict[str, int], why: str
) -> None:
    """Else a blind run before a fixed kernel would make the kernel look broken, and vice versa."""
    blind = make_run(tmp_path / "blind", losing(0), **how)
    bad = make_run(tmp_path / "bad", losing(0.2))
    for runs in ((blind, bad), (bad, blind)):
        found = compared(*runs)
        assert told(found) == [Answer.CANT_TELL]
        assert why in cell_sentence(found.cells[0], found.pairs[0])
        assert not found.tests


@pytest.mark.parametrize(
    "bad", [(Outcome.CRASHED, None), (Outcome.NOT_LOADED, None), UNKNOWN], ids=str
)
def test_loads_that_show_nothing_are_not_taken_for_good_ones(tmp_path: Path, bad: Load) -> None:
    a = make_run(tmp_path / "a", losing(0))
    b = make_run(tmp_path / "b", [*[bad] * 40, *exactly(0, 259)])
    assert told(compared(a, b)) == [Answer.CANT_TELL]


def test_unlike_cells_are_named_and_left_out(tmp_path: Path) -> None:
    a = make_run(tmp_path / "a", losing(0), axes={"apic": ["xapic", "x2apic"]})
    b = make_run(tmp_path / "b", losing(0), axes={"apic": "xapic", "period_ms": ["auto", 20]})
    found = compared(a, b)
    assert len(found.cells) == 1
    assert dict(found.pairs[0].left_out) == {
        "kvm/one-shot/x2apic/hmp/auto/25loads": "only in A",
        "kvm/one-shot/xapic/hmp/20ms/25loads": "only in B",
    }


def test_a_skipped_cell_is_left_out_with_its_reason(tmp_path: Path) -> None:
    skipped = "kvm/one-shot/x2apic/hmp/auto/25loads"
    axes = {"apic": ["xapic", "x2apic"]}
    a = make_run(tmp_path / "a", losing(0), axes=axes)
    b = make_run(tmp_path / "b", losing(0), axes=axes, skips={skipped: "no x2APIC here"})
    ((name, why),) = compared(a, b).pairs[0].left_out
    assert name == skipped
    assert "not tested in B" in why
    assert "no x2APIC here" in why
    both = compared(b, make_run(tmp_path / "c", losing(0), axes=axes, skips={skipped: "none"}))
    assert "not tested in both" in dict(both.pairs[0].left_out)[skipped]


def test_another_qemu_is_compared_as_the_same_cell(tmp_path: Path) -> None:
    """The QEMU is what the user compares."""
    a = make_run(tmp_path / "a", losing(0), axes={"qemu": "/old/qemu"})
    b = make_run(tmp_path / "b", losing(0.1), axes={"qemu": "/new/qemu"})
    assert told(compared(a, b)) == [Answer.WORSE]
    both = make_run(tmp_path / "c", losing(0), axes={"qemu": ["/old/qemu", "/new/qemu"]})
    found = compared(a, both)
    assert [cell.first.id for cell in found.cells] == [cell.second.id for cell in found.cells]


def test_runs_without_an_equal_cell_tell_nothing(tmp_path: Path) -> None:
    a = make_run(tmp_path / "a", losing(0))
    b = make_run(tmp_path / "b", losing(0), axes={"period_ms": 20})
    found = compared(a, b)
    assert not found.cells
    assert comparison_exit(found, {WORSE, CANT_TELL}) is ExitCode.INCONCLUSIVE


def test_the_cells_share_the_error(tmp_path: Path) -> None:
    """A difference that is enough for one cell is not enough among many."""
    axes = {"period_ms": [10, 20, 30, 40, 50, 60, 70, 80]}
    a = make_run(tmp_path / "a", losing(0), axes=axes)
    b = make_run(
        tmp_path / "b",
        {
            f"kvm/one-shot/xapic/hmp/{period}ms/25loads": losing(0.015 if period == 10 else 0)
            for period in axes["period_ms"]
        },
        axes=axes,
    )
    found = compared(a, b)
    assert found.tests == 8
    lossy = found.cells[0]
    assert lossy.p < 0.05 < lossy.adjusted == pytest.approx(8 * lossy.p)
    assert lossy.answer is Answer.CANT_TELL


@pytest.mark.parametrize(
    ("facts", "cause"),
    [
        ({}, "No fact"),
        ({"kernel": "6.5.0", "kernel_build": "#2"}, "only the kernel differs"),
        ({"kernel": "6.5.0", "microcode": "0x99"}, "kernel and microcode differ"),
        ({"microcode": "0x99"}, "only the microcode differs"),
    ],
)
def test_only_what_differs_alone_may_be_blamed(
    tmp_path: Path, facts: dict[str, str], cause: str
) -> None:
    a = make_run(tmp_path / "a", losing(0))
    b = make_run(tmp_path / "b", losing(0.1), facts=other(**facts))
    assert cause in compared(a, b).pairs[0].hosts.cause


def test_parameters_that_only_one_kernel_has_are_the_kernels(tmp_path: Path) -> None:
    a = make_run(
        tmp_path / "a", losing(0), facts=other(kvm_modules={"kvm": {"old": "1", "both": "1"}})
    )
    b = make_run(
        tmp_path / "b", losing(0),
        facts=other(kernel="6.9", kvm_modules={"kvm": {"new": "1", "both": "1"}}),
    )  # fmt: skip
    c = make_run(tmp_path / "c", losing(0), facts=other(kvm_modules={"kvm": {"both": "2"}}))
    assert list(compared(a, b).pairs[0].hosts.facts) == ["kernel"]
    assert compared(a, c).pairs[0].hosts.facts == {"KVM parameters": ("kvm.both=1", "kvm.both=2")}


# --- the first tick ---


def test_a_shift_of_class_and_latency_is_named_and_decides_nothing(tmp_path: Path) -> None:
    a, b = (make_run(tmp_path / n, losing(0, tick=t)) for n, t in (("a", TICK), ("b", FULL)))
    found = compared(a, b)
    (cell,) = found.cells
    assert cell.answer is Answer.SAME
    notes = " ".join(cell_notes(cell, found.pairs[0]))
    assert "class of the first tick shifted: immediate 100%, then full-period 100%" in notes
    assert "latency of the first tick shifted" in notes
    assert found.tests == 1
    assert comparison_exit(found, {WORSE, CANT_TELL}) is ExitCode.CLEAN


@pytest.mark.parametrize("kind", [CompareFailOn.CLASS, CompareFailOn.LATENCY])
def test_a_shift_that_is_asked_for_decides_within_the_same_family(
    tmp_path: Path, kind: CompareFailOn
) -> None:
    a, b = (make_run(tmp_path / n, losing(0, tick=t)) for n, t in (("a", TICK), ("b", FULL)))
    found = compared(a, b, judged=judged_shifts({kind}))
    assert found.tests == 2
    assert comparison_exit(found, {kind}) is ExitCode.ANOMALOUS
    assert comparison_exit(compared(a, a, judged=judged_shifts({kind})), {kind}) is ExitCode.CLEAN


def test_a_small_shift_of_latency_does_not_count(tmp_path: Path) -> None:
    late: Load = (Outcome.IMMEDIATE, (0.15, 0.15, 3.0))
    a, b = (make_run(tmp_path / n, losing(0, tick=t)) for n, t in (("a", TICK), ("b", late)))
    (shift,) = (s for s in compared(a, b).cells[0].shifts if s.kind is Shifted.LATENCY)
    assert shift.adjusted < 0.001
    assert not shift.found(0.05)


# --- runs ---


def test_a_run_that_has_not_ended_is_named(tmp_path: Path) -> None:
    a = make_run(tmp_path / "a", losing(0))
    b = make_run(tmp_path / "b", losing(0, 100), ends=False)
    (note,) = arm_notes("B", compared(a, b).pairs[0].arm)
    assert "B has not ended" in note


def test_a_direct_test_can_not_be_compared(tmp_path: Path) -> None:
    with pytest.raises(NoArmError, match="direct test"):
        read_arm(laid("probe", tmp_path), "probe")


def test_letters() -> None:
    assert [letter(each) for each in (0, 1, 25, 26)] == ["A", "B", "Z", "R27"]
