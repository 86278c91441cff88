from orchestrator.verdict.run_error_rate import CellBound, statement
from orchestrator.verdict.verdict import Verdict

# --- the whole run ---


def test_a_clean_run_needs_no_correction_and_says_what_holds_at_once() -> None:
    text = statement([CellBound(Verdict.CLEAN, 299, 0)] * 12, 0.95)
    assert "All 12 cells are clean" in text
    assert "at most 1.816%" in text
    assert "If any cell had a higher loss rate than its bound" in text
    assert "Together, 3,588 loads rule out an average loss rate above 0.083%" in text
    unresolved = statement(
        [CellBound(Verdict.CLEAN, 299, 0), CellBound(Verdict.CLEAN, 500, 1)], 0.95
    )
    assert "All 2 cells are clean" in unresolved
    assert "Together" not in unresolved


def test_an_affected_run_says_how_often_that_would_be_wrong() -> None:
    cells = [CellBound(Verdict.AFFECTED, 299, 0)] + [CellBound(Verdict.CLEAN, 299, 0)] * 2
    text = statement(cells, 0.95)
    assert "2 of 3 cells are clean" in text
    assert "that any of 3 cells is called affected by mistake is at most 0.05" in text


def test_a_run_of_which_nothing_ran_says_so() -> None:
    nothing = "No cell ran: nothing is ruled out."
    assert statement([CellBound(Verdict.SKIPPED, 0, 0)], 0.95) == nothing
    assert statement([], 0.95) == nothing


def test_cells_that_were_not_tested_are_not_among_those_that_are_clean() -> None:
    clean, skipped = CellBound(Verdict.CLEAN, 299, 0), CellBound(Verdict.SKIPPED, 0, 0)
    assert statement([clean, clean, skipped], 0.95).startswith("All 2 cells that ran are clean")
    one = statement([clean, skipped], 0.95)
    assert one.startswith("Of 1 cell that ran, 1 is clean and none is affected")
