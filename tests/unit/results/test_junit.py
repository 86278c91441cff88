"""JUnit XML of runs made by hand: each verdict, times, and text that XML forbids."""

from dataclasses import replace
from pathlib import Path

import pytest
from junitparser.xunit2 import JUnitXml

from orchestrator.results.outputs.output import OutputOptions
from orchestrator.results.outputs.table import output
from orchestrator.results.report import Report
from orchestrator.verdict.verdict import Verdict
from tests.support.command_here import valid_junit
from tests.support.made_reports import HOSTILE, HOSTILE_NAME, arm, case, every_kind, report


def junit(*reports: Report) -> JUnitXml:
    return valid_junit(output("junit").render(reports, OutputOptions()).decode())


def test_each_verdict_has_its_element() -> None:
    (suite,) = junit(every_kind())
    assert {c.name: [(type(r).__name__, r.type) for r in c.result] for c in suite} == {
        "kvm/clean": [],
        "kvm/affected": [("Failure", "affected")],
        "kvm/anomalous": [("Failure", "anomalous")],
        "kvm/inconclusive": [("Error", "inconclusive")],
        "kvm/failed": [("Error", "failed")],
        "kvm/skipped": [("Skipped", "skipped")],
    }
    assert (suite.tests, suite.failures, suite.errors, suite.skipped) == (6, 2, 2, 1)


def test_an_arm_of_a_lab_passes_with_its_known_answer_alone() -> None:
    lab, known = arm(Verdict.AFFECTED), Verdict.AFFECTED
    (suite,) = junit(
        report(
            case("a", Verdict.AFFECTED, 20, lab=lab, expected=known),
            case("b", Verdict.CLEAN, lab=lab, expected=known),
            case("c", Verdict.SKIPPED, accepted=True),
            command="lab run",
        )
    )
    results = [[(type(r).__name__, r.type) for r in each.result] for each in suite]
    assert results == [[], [("Error", "unexpected")], [("Skipped", "accepted")]]
    assert {each.classname for each in suite} == {"losttick.lab.run"}


@pytest.mark.parametrize(
    ("ended_at", "time"),
    [
        ("2026-11-26T01:02:05.500Z", 2.496),
        ("2026-11-26T01:02:03.004049Z", 0.0),
        ("2026-11-29T05:02:03.0041239Z", 273600.0),
        ("2026-11-25T01:02:05.500Z", 0.0),
        ("", None),
        ("yesterday", None),
        ("2026-11-26T01:02:05", None),
    ],
)
def test_times_have_at_most_three_decimals(ended_at: str, time: float | None) -> None:
    (suite,) = junit(report(case("a", Verdict.CLEAN, ended_at=ended_at)))
    (found,) = suite
    assert found.time == time


def test_names_depend_on_the_plan_alone() -> None:
    first = every_kind()
    later = replace(
        first, cases=tuple(replace(each, trials=9, lost=8, why="w") for each in first.cases),
        seed=7, losttick="9", began_at="2026-11-27T01:02:05.500Z",
    )  # fmt: skip
    names = [
        [(suite.name, each.classname, each.name) for suite in junit(found) for each in suite]
        for found in (first, later)
    ]
    assert names[0] == names[1]


def test_text_that_xml_forbids_is_escaped() -> None:
    texts = {"why": HOSTILE, "meaning": HOSTILE, "outcomes": {HOSTILE: 1}, "causes": {HOSTILE: 1}}
    hostile = report(
        *(case(f"{HOSTILE_NAME}{verdict}", verdict, **texts) for verdict in Verdict),
        meaning=HOSTILE, interrupted=HOSTILE, went_down=HOSTILE, losttick=HOSTILE,
        began_at=HOSTILE,
    )  # fmt: skip
    (suite,) = junit(hostile)
    texts_read = [p.value for p in suite.properties()]
    for each in suite:
        texts_read += [each.name, each.system_out]
        for result in each.result:
            texts_read += [result.message, result.text]
    assert all(text.replace("\n", "").isprintable() for text in texts_read)
    assert any("<script>alert(1)</script>" in text for text in texts_read)
    assert any(r"\x1b[2J\x00" in text for text in texts_read)


def test_a_line_of_ten_megabytes_is_cut() -> None:
    long = "x" * 10_000_000
    data = output("junit").render(
        [report(case("a", Verdict.ANOMALOUS, why=long, meaning=long), meaning=long)],
        OutputOptions(),
    )
    assert len(data) < 100_000
    assert b"characters left out" in data


def test_runs_of_the_same_cells_are_told_apart_by_as_much_of_their_folders_as_it_takes() -> None:
    folders = (Path("/n/mon/out"), Path("/n/tue/out"), Path("/n/wed"), Path("/m/tue/out"))
    runs = [replace(every_kind(), folder=folder) for folder in folders]
    cases = [(each.classname, each.name) for suite in junit(*runs) for each in suite]
    assert len(set(cases)) == len(cases) == 24


def test_the_time_of_a_suite_is_that_of_the_run() -> None:
    """Cells take turns, so the sum of their times is longer than the run."""
    began = "2026-11-26T01:02:03.004Z"
    cells = [case(f"kvm/{n}", Verdict.CLEAN) for n in range(5)]  # 2.496 s each
    run = report(*cells, began_at=began, ended_at="2026-11-26T01:02:06.004Z")
    probe = report(
        case("this host", Verdict.CLEAN, began_at="", ended_at=""), command="probe",
        began_at=began, ended_at="2026-11-26T01:02:04.104Z",
    )  # fmt: skip
    killed = report(*cells, folder=Path("other"), interrupted="killed", began_at=began)
    document = junit(run, probe, killed)
    assert [suite.time for suite in document] == [3.0, 1.1, 2.496]
    assert document.time == 6.596


def test_a_beginning_that_is_no_time_is_left_out() -> None:
    (suite,) = junit(report(case("a", Verdict.CLEAN), began_at="yesterday"))
    assert suite.timestamp is None
