"""New, still and fixed since the run before."""

from dataclasses import replace
from pathlib import Path

from orchestrator.findings.outcome import Outcome
from orchestrator.results.history.changes import changes, sentences
from orchestrator.results.history.store import History
from orchestrator.results.outputs.github import summary
from orchestrator.results.outputs.output import OutputOptions
from orchestrator.results.outputs.table import output
from orchestrator.results.report import read_report
from orchestrator.verdict.verdict import Verdict
from tests.support.made_history import add, night, opened
from tests.support.made_reports import case, report
from tests.support.made_runs import Load, exactly, losing

CELL = "kvm/one-shot/xapic/hmp/auto/25loads"

BUG = ((CELL, "known bug"),)

CRASHED: Load = (Outcome.CRASHED, None)


def nights(folder: Path, *loads: list[Load]) -> History:
    history = opened(folder)
    for number, each in enumerate(loads, 1):
        add(history, night(folder, number, each))
    return history


def test_new_still_and_fixed(tmp_path: Path) -> None:
    history = nights(tmp_path, losing(0), losing(0.2), losing(0.1), losing(0))
    found = [changes(history, history.find(str(each))) for each in (1, 2, 3, 4)]
    assert [each.new for each in found] == [(), BUG, (), ()]
    assert [each.still for each in found] == [(), (), BUG, ()]
    assert [each.fixed for each in found] == [(), (), (), BUG]
    assert sentences(found[0]) == ["Nothing new and no run before to compare with."]
    assert sentences(found[1])[0].startswith("1 new, 0 still, 0 fixed since run 1")


def test_a_rare_loss_that_is_not_seen_again_is_not_called_fixed(tmp_path: Path) -> None:
    """One loss in 299 loads, and then none, shows nothing."""
    history = nights(tmp_path, list(exactly(1, 299)), losing(0))
    found = changes(history, history.find("2"))
    assert (found.fixed, found.not_seen) == ((), BUG)
    assert "does not show that it is fixed" in " ".join(sentences(found))


def test_another_finding_in_the_same_cell_is_new(tmp_path: Path) -> None:
    history = nights(tmp_path, losing(0.2), [*[CRASHED] * 3, *losing(0, 296)])
    found = changes(history, history.find("2"))
    assert found.new == ((CELL, "crashed"),)
    assert found.not_seen or found.fixed


def test_since_a_run_of_choice(tmp_path: Path) -> None:
    history = nights(tmp_path, losing(0), losing(0.2), losing(0.2))
    found = changes(history, history.find("3"), since=history.find("1"))
    assert found.new == BUG


def test_every_output_says_it_first(tmp_path: Path) -> None:
    found = report(case("kvm/x", Verdict.AFFECTED, lost=3), changes=("1 new since <run> 7.",))
    github = summary([found]).decode()
    assert github.index("1 new since") < github.index("kvm/x")
    junit = output("junit").render([found], OutputOptions()).decode()
    assert junit.count("1 new since &lt;run&gt; 7.") == 2
    real = read_report(night(tmp_path, 1, losing(0.2)))
    html = output("html").render([replace(real, changes=found.changes)], OutputOptions()).decode()
    assert "1 new since &lt;run&gt; 7." in html
