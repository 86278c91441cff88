"""Faults other than the known bug, in a kernel's KVM modules: each with its right answer.

Edits that can share a period share a boot. tests/e2e/test_faults.py has more faults, outside of a
kernel; tests/unit/lab/kernel/test_fault_edits.py has what an edit changes.
"""

from pathlib import Path
from typing import Any

import pytest

from tests.support.lab_command import arms, lab_run, records

pytestmark = [pytest.mark.thorough, pytest.mark.timeout(2400)]


def sentences(out: Path, cell: dict[str, Any], words: str) -> int:
    """Return how many loads of a cell have a diagnosis or an observation with some words."""
    mine = [
        trial
        for trial in records(out, "trial")
        if trial["cell"] == cell["id"] and trial.get("role", "host") == "host"
    ]
    said = [
        [trial.get("why", ""), *(each["sentence"] for each in trial.get("diagnoses", ()))]
        for trial in mine
    ]
    return sum(any(words in each for each in trial) for trial in said)


def assert_anomalous(cell: dict[str, Any]) -> None:
    assert cell["verdict"] == "anomalous", cell["why"]
    assert all(control["seen"] for control in cell["controls"])
    assert cell["why"].count("lost one-shot interrupt") <= 1  # none was diagnosed as one


def test_a_wrong_vector_and_a_guest_that_freezes_later(tmp_path: Path) -> None:
    out = tmp_path / "out"
    variants = ["--variant=other-vector", "--variant=drop-third-arm"]
    by = arms(lab_run(out, *variants, "--period=200", trials=5))
    diverted, dropped = by["other-vector", True], by["drop-third-arm", True]

    assert_anomalous(diverted)
    assert diverted["diagnoses"] == {"wrong vector": 5}
    assert sentences(out, diverted, "1 interrupt(s) on the vector of its built-in control") == 5

    # Only the last load of a save is followed so far that its guest is seen to freeze.
    assert_anomalous(dropped)
    assert dropped["diagnoses"] == {"timer not started": 1}
    assert sentences(out, dropped, "3 ticks came after the load, then: no tick in") == 1
    assert sentences(out, dropped, "the timer for which the guest waits never fired") == 1


def test_an_early_first_tick(tmp_path: Path) -> None:
    out = tmp_path / "out"
    (cell,) = lab_run(out, "--variant=early-tick", trials=2)["cells"]
    assert_anomalous(cell)
    assert cell["outcomes"] == {"early": 2}
    assert "no load lost its timer, so this is not the APICv bug" in cell["why"]


def test_a_late_first_tick_and_one_that_misses_two_periods(tmp_path: Path) -> None:
    """Each load is paired with a sham, and 20 pairs show what the loads do."""
    out = tmp_path / "out"
    by = arms(lab_run(out, "--variant=late-tick", "--variant=third-period", trials=2))
    late, missed = by["late-tick", True], by["third-period", True]
    for cell, outcome in ((late, "late"), (missed, "missed")):
        assert_anomalous(cell)
        assert set(cell["outcomes"]) == {outcome}
        assert cell["pairs"]["pairs"] == cell["pairs"]["only_load_late"] == 20
        assert "the loads make ticks late (exact McNemar test" in cell["why"]
    # In one that a busy host held up, it is not known how long the guest ran.
    said = sentences(out, missed, "2 period(s) passed without their tick")
    said += sentences(out, missed, "by the second number 2 periods passed without their tick")
    assert said == missed["trials"]


def test_a_periodic_timer_that_ticks_twice_as_often(tmp_path: Path) -> None:
    """The controls tick on at the wrong rate, too, and are no injected losses then."""
    options = ["--variant=halve-period", "--mode=periodic", "--period=200"]
    (cell,) = lab_run(tmp_path / "out", *options, trials=2)["cells"]
    assert cell["verdict"] == "anomalous", cell["why"]
    assert cell["outcomes"] == {"rate": 2}


def test_a_tsc_deadline_that_is_dropped(tmp_path: Path) -> None:
    (cell,) = lab_run(
        tmp_path / "out", "--variant=drop-deadline", "--mode=tsc-deadline", "--period=200", trials=2
    )["cells"]
    assert_anomalous(cell)
    assert cell["diagnoses"] == {"TSC deadline gone": 2}


def test_a_lapic_that_was_not_restored(tmp_path: Path) -> None:
    """A new QEMU's LAPIC stays as it was at its reset, and hands on what the PIC brings."""
    out = tmp_path / "out"
    methods = ["--method=exec", "--method=loadvm"]
    found = lab_run(out, "--variant=ignore-lapic", *methods, "--period=100", trials=2)
    for cell in found["cells"]:
        assert cell["verdict"] == "anomalous", cell["why"]
        assert cell["diagnoses"] == {"timer not restored": 2}
        assert sentences(out, cell, "KVM_SET_LAPIC had no effect") == 2


def test_the_clock_of_a_vcpu_that_runs_ahead(tmp_path: Path) -> None:
    """Its clock moves in the loads of the controls as well, which no control expects."""
    out = tmp_path / "out"
    (cell,) = lab_run(out, "--variant=skew-tsc", "--vcpus=2", trials=2)["cells"]
    assert cell["verdict"] == "anomalous", cell["why"]
    assert cell["outcomes"] == {"clock": 2}
    assert sentences(out, cell, "the TSCs of the vCPUs moved apart at a load, by") == 2


@pytest.mark.parametrize(
    "options",
    [
        ["--mode=pit", "--mode=rtc", "--mode=hv-stimer"],
        ["--state=pending", "--state=masked", "--state=tpr", "--state=in-service", "--period=200"],
    ],
    ids=["other timers", "states"],
)
def test_the_untouched_kernel_is_clean(tmp_path: Path, options: list[str]) -> None:
    found = lab_run(tmp_path / "out", "--variant=untouched", *options, trials=5)
    for cell in found["cells"]:
        assert cell["verdict"] == "clean", cell["why"]
        assert cell["trials"] == 5
        if "rtc" in cell["id"] or "hv-stimer" in cell["id"]:
            assert not cell["expired_saves"], "these timers stand while the VM is stopped"


def test_the_bug_takes_no_timer_outside_the_lapic(tmp_path: Path) -> None:
    modes = ["--mode=pit", "--mode=rtc", "--mode=hv-stimer"]
    found = lab_run(tmp_path / "out", "--variant=revert-fix", *modes, trials=5)
    for cell in found["cells"]:
        assert cell["verdict"] == "clean", cell["why"]
        assert cell["trials"] == 5
