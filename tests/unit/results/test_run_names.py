"""The names of runs that are reported together."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.results.outputs.output import OutputOptions
from orchestrator.results.outputs.table import output
from orchestrator.results.report import Report
from orchestrator.results.run_names import run_names
from tests.support.made_reports import every_kind
from tests.support.reports import probe


def of(*folders: str) -> list[Report]:
    return [replace(every_kind(), folder=Path(folder)) for folder in folders]


def test_a_name_has_as_much_of_the_path_as_it_takes() -> None:
    folders = ("/n/mon/out", "/n/tue/out", "/n/wed", "/m/tue/out")
    assert run_names(of(*folders)) == ["mon/out", "n/tue/out", "wed", "m/tue/out"]
    assert run_names([]) == []


def test_every_spelling_of_a_folder_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "run" / "evidence").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "run")
    for folder in (".", "../run", "evidence/..", str(tmp_path / "run")):
        assert run_names(of(folder)) == ["run"]
    assert run_names(of("/")) == ["/"]
    twice = run_names(of(".", str(tmp_path / "run")))
    assert twice == ["run", "run (2)"]


def test_outputs_tell_runs_of_equal_folder_names_apart(tmp_path: Path) -> None:
    reports = of("/n/mon/out", "/n/tue/out")
    ktap = output("ktap").render(reports, OutputOptions()).decode()
    assert re.findall(r"^not ok \d (.*)$", ktap, re.M) == [
        "losttick run mon/out", "losttick run tue/out"
    ]  # fmt: skip
    probes = [replace(probe((0, 0)), folder=Path(each)) for each in ("/n/mon/out", "/n/tue/out")]
    html = output("html").render(probes, OutputOptions()).decode()
    # In the table of all runs, and as the heading of each run; the details have the whole path.
    assert len(re.findall(r"(?<!/n/)(?:mon|tue)/out", html)) >= 4
