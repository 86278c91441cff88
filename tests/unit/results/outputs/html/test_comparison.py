"""Several runs beside each other."""

from pathlib import Path

from orchestrator.results.outputs.html.matrix import comparison
from orchestrator.results.report import read_report
from orchestrator.verdict.verdict import Verdict
from tests.support.run_folders import make_run_folder


def test_the_fewer_ones_are_the_columns(tmp_path: Path) -> None:
    many = read_report(make_run_folder("cells", tmp_path / "cells"))
    one = read_report(make_run_folder("affected", tmp_path / "affected"))
    assert len(many.cases) > 2
    matrix, legend = comparison([many, one], ["run1", "run2"])
    assert matrix.corner == "cell"
    assert [name for _, name in legend] == ["cells · 6.6.1-fake", "affected · 6.6.1-fake"]
    assert [name for name, _ in matrix.rows][1:] == [
        *(case.name for case in many.cases),
        *(case.name for case in one.cases if case.name not in {c.name for c in many.cases}),
    ]
    whole = matrix.rows[0][1]
    assert [mark.verdict for mark in whole if mark] == [many.verdict, Verdict.AFFECTED]

    runs = [one] * 4
    matrix, legend = comparison(runs, ["run1", "run2", "run3", "run4"])
    assert (matrix.corner, list(matrix.columns)) == ("run", ["all", "1"])
    assert legend == [("1", one.cases[0].name)]
    assert len(matrix.rows) == 4


def test_a_run_without_a_cell_has_no_mark_there(tmp_path: Path) -> None:
    one = read_report(make_run_folder("affected", tmp_path / "affected"))
    other = read_report(make_run_folder("real-tcg", tmp_path / "real-tcg"))
    matrix, _ = comparison([one, other], ["run1", "run2"])
    rows = dict(matrix.rows)
    marks = rows[one.cases[0].name]
    assert [mark and mark.verdict for mark in marks] == [Verdict.AFFECTED, None]
    assert [mark and mark.link for mark in rows[other.cases[0].name]] == [None, "run2"]
