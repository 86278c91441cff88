"""The words for a number are the same wherever it is shown."""

import html
import re
from pathlib import Path

import pytest

from orchestrator.results.columns import first_tick_with_time
from orchestrator.results.explain import Reader, explain
from orchestrator.results.hosts import TELLING
from orchestrator.results.outputs.about import about_case
from orchestrator.results.outputs.html.output import OUTPUT
from orchestrator.results.outputs.output import OutputOptions
from orchestrator.results.report import read_report
from tests.support.reports import prose
from tests.support.run_folders import make_run_folder


@pytest.mark.parametrize("name", ["clean", "affected", "some-lost"])
def test_an_explanation_and_a_report_say_the_same_loss_rate(name: str, tmp_path: Path) -> None:
    report = read_report(make_run_folder(name, tmp_path))
    said = prose(explain(report, Reader.DEVELOPER))
    for case in report.cases:
        (counted,) = [line for line in about_case(case, report) if line.startswith("loads: ")]
        _, rate = counted.split(", loss rate ")
        assert f", loss rate {rate}" in said


@pytest.mark.parametrize("name", ["clean", "affected", "missed", "recovered", "some-lost"])
def test_a_page_and_a_table_say_the_same_first_tick(name: str, tmp_path: Path) -> None:
    report = read_report(make_run_folder(name, tmp_path))
    page = OUTPUT.render([report], OutputOptions(None)).decode()
    shown = [html.unescape(each) for each in re.findall(r'data-name="first tick">(.*?)<', page)]
    words = {first_tick_with_time(each) for each in report.result.cells}  # type: ignore[union-attr]  # it is a run
    assert {"-" if each == "not known" else each for each in shown} == words


def test_a_page_and_an_explanation_name_the_same_parameters(tmp_path: Path) -> None:
    report = read_report(make_run_folder("affected", tmp_path))
    assert report.facts
    report.facts.kvm_modules["kvm"] = dict.fromkeys(TELLING, "7")
    for case in report.cases:
        assert case.facts
        case.facts.kvm_modules["kvm"] = dict.fromkeys(TELLING, "7")
    page = OUTPUT.render([report], OutputOptions(None)).decode()
    said = prose(explain(report, Reader.DEVELOPER))
    for parameter in TELLING:
        assert f"{parameter}=7" in page
        assert f"kvm.{parameter}=7" in said
