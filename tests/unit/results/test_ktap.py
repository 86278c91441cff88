"""KTAP, read by the kernel's own parser."""

from typing import Any

import pytest

from orchestrator.results.outputs.output import OutputOptions
from orchestrator.results.outputs.table import output
from orchestrator.results.report import Report
from orchestrator.verdict.verdict import Ended, Verdict
from tests.support.kunit import parsed
from tests.support.made_reports import HOSTILE, HOSTILE_NAME, arm, case, every_kind, report


def ktap(*reports: Report) -> bytes:
    return output("ktap").render(reports, OutputOptions())


def runs(text: bytes) -> list[dict[str, Any]]:
    """Return the runs that the kernel's parser reads, which found no fault in the form."""
    found = parsed(text)

    def errors(test: dict[str, Any]) -> int:
        return int(test["errors"]) + sum(map(errors, test["subtests"]))

    assert errors(found) == 0
    whole: list[dict[str, Any]] = found["subtests"]
    return whole


def statuses(run: dict[str, Any]) -> dict[str, str]:
    return {each["name"]: each["status"] for each in run["subtests"]}


def test_each_verdict_has_its_result_line() -> None:
    lines = ktap(every_kind()).decode().splitlines()
    assert [line for line in lines if line.lstrip().startswith(("ok", "not ok"))] == [
        "  ok 1 kvm/clean",
        "  not ok 2 kvm/affected",
        "  not ok 3 kvm/anomalous",
        "  not ok 4 kvm/inconclusive # ERROR the reason for inconclusive",
        "  not ok 5 kvm/failed # ERROR the reason for inconclusive",
        "  ok 6 kvm/skipped # SKIP the reason for skipped",
        "not ok 1 losttick run",
    ]


def test_the_kernel_reads_every_kind() -> None:
    (run,) = runs(ktap(every_kind()))
    assert run["name"] == "losttick run"
    assert run["status"] == "FAILURE"
    assert statuses(run) == {
        "kvm/clean": "SUCCESS",
        "kvm/affected": "FAILURE",
        "kvm/anomalous": "FAILURE",
        "kvm/inconclusive": "FAILURE",
        "kvm/failed": "FAILURE",
        "kvm/skipped": "SKIPPED",
    }
    log = run["subtests"][1]["log"]
    assert "  # evidence: evidence/0003-host-lost" in log
    assert any("86.089% to 100.000% per load at 95% confidence" in line for line in log)


def test_each_run_is_a_test() -> None:
    clean = report(case("kvm/clean", Verdict.CLEAN), case("kvm/none", Verdict.SKIPPED))
    both = runs(ktap(clean, every_kind()))
    assert [(each["name"], each["status"]) for each in both] == [
        ("losttick run nightly", "SUCCESS"),
        ("losttick run nightly (2)", "FAILURE"),
    ]


def test_a_run_of_which_all_was_skipped_is_skipped() -> None:
    (run,) = runs(ktap(report(case("kvm/none", Verdict.SKIPPED))))
    assert run["status"] == "SKIPPED"


def test_an_interrupted_run_does_not_pass() -> None:
    (run,) = runs(ktap(report(case("kvm/clean", Verdict.CLEAN), interrupted="SIGTERM")))
    assert statuses(run) == {"kvm/clean": "SUCCESS"}
    assert run["status"] == "FAILURE"
    assert "# not ended: SIGTERM" in run["log"]


def test_the_trial_in_which_the_host_went_down_is_named() -> None:
    went = report(case("kvm/clean", Verdict.CLEAN), went_down="in trial 7 of kvm/clean")
    assert b"\n# the host went down in trial 7 of kvm/clean\n" in ktap(went)


def test_a_known_arm_of_a_lab_passes_with_its_known_answer() -> None:
    lost = case("6.1/revert-fix", Verdict.AFFECTED, 20, expected=Verdict.AFFECTED, lab=arm())
    asked = case("6.1/untouched", Verdict.CLEAN, lab=arm())
    (run,) = runs(ktap(report(asked, lost, command="lab run", verdict=Verdict.CLEAN)))
    assert run["name"] == "losttick lab run"
    assert run["status"] == "SUCCESS"
    assert set(statuses(run).values()) == {"SUCCESS"}


@pytest.mark.parametrize("verdict", list(Verdict))
def test_hostile_text_is_taken_for_nothing_else(verdict: Verdict) -> None:
    """The kernel's parser reads the same as without it, in the same lines."""
    texts = {"why": HOSTILE, "meaning": HOSTILE, "evidence": (HOSTILE,)}
    hostile = report(
        case("first", verdict, **texts, outcomes={HOSTILE: 1}, causes={HOSTILE: 1}),
        case("failed", Verdict.INCONCLUSIVE, ended=Ended(Verdict.INCONCLUSIVE, True), **texts),
        case("last", Verdict.CLEAN),
        meaning=HOSTILE, went_down=HOSTILE, interrupted=HOSTILE, losttick=HOSTILE,
    )  # fmt: skip
    text = ktap(hostile)
    assert all(c == 10 or c >= 32 for c in text)
    assert all(c.isprintable() or c == "\n" for c in text.decode())
    (run,) = runs(text)
    plain = {"clean": "SUCCESS", "skipped": "SKIPPED"}.get(verdict, "FAILURE")
    assert statuses(run) == {"first": plain, "failed": "FAILURE", "last": "SUCCESS"}


def test_a_hostile_name_is_one_name() -> None:
    (run,) = runs(ktap(report(case(HOSTILE_NAME, Verdict.CLEAN), case("last", Verdict.CLEAN))))
    first, last = run["subtests"]
    assert first["name"] == (r"\x2d kvm/\x231 \x23 SKIP/\x1b[2J\n\x00ok 2 \ud800/../é/")
    assert (first["status"], last["name"]) == ("SUCCESS", "last")


def test_a_direct_test_that_tested_nothing_does_not_pass() -> None:
    nothing = report(command="probe", verdict=Verdict.SKIPPED, interrupted="SIGTERM")
    assert b"\nnot ok 1 losttick probe # ERROR it has not ended: SIGTERM\n" in ktap(nothing)
