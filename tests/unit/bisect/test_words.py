"""Answers in words: what each says, what it leaves open, and hostile names."""

from dataclasses import replace

import pytest

from orchestrator.bisect.answer import Answer, Side, answer_of
from orchestrator.bisect.candidate import Candidate
from orchestrator.bisect.records import Begun, BootRecord
from orchestrator.bisect.rules import Find
from orchestrator.bisect.state import State
from orchestrator.bisect.steps import Ending, Phase
from orchestrator.bisect.words import answer_data, headline, percent, sentences

OLD, NEW = (Candidate(2 * each * 10, f"subject {each}", 2 * each * 10) for each in ("ab", "cd"))

FOUND = Answer(
    ending=Ending.FOUND, find=Find.BREAK, what="commit", probability=0.978, culprits=(NEW,),
    losing=Side(NEW, 2, 8, 3, ("one", "two")), clean=Side(OLD, 1, 14, 0, ("three",)),
    remaining=(NEW,), rates=(0.2, 0.4, 0.6), change="", not_tested=(), min_rate=0.01,
    candidates=900, boots=14, loads=80, seconds=3000.0,
)  # fmt: skip


def test_an_answer_has_the_evidence_of_both_sides() -> None:
    assert headline(FOUND) == (
        "The first commit that shows it: cdcdcdcdcdcd (subject cd), with a probability of 98 %, "
        "provided that no commit taken for clean loses more rarely, in less than 19 % of its loads."
    )
    said = list(sentences(FOUND))
    assert said[0] == (
        "cdcdcdcdcdcd (subject cd): 3 of 8 loads lost, in 2 boots. Evidence: one, two."
    )
    assert said[1] == (
        "abababababab (subject ab): 0 of 14 loads lost, in 1 boot; rules out a loss rate above "
        "19 %, at 95 %. Evidence: three."
    )
    assert "about 40 % of its loads (20 % to 60 %)" in said[2]
    assert "loses more rarely than 19 % is not known" in said[3]
    assert "--parent-rate 0.01: 285 more loads" in said[3]
    assert said[4].endswith("one change can make a bug and another one expose it.")


def test_what_is_ruled_out_needs_no_more_loads() -> None:
    found = replace(FOUND, clean=Side(OLD, 3, 299, 0, ()))
    assert not [each for each in sentences(found) if "--parent-rate" in each]
    assert headline(found).endswith("with a probability of 98 %.")


def test_a_fix_is_no_longer_shown() -> None:
    found = replace(FOUND, find=Find.FIX, culprits=(OLD,))
    assert "that no longer shows it: abababababab" in headline(found)
    assert not [each for each in sentences(found) if "expose" in each]


@pytest.mark.parametrize(
    ("ending", "words"),
    [
        (Ending.NEVER, "neither end loses at a rate of 1 % or more"),
        (Ending.ALWAYS, "both ends lose"),
        (Ending.UNDECIDED, "No answer after 14 boots"),
        (Ending.UNTESTABLE_END, "an end of the history can't be tested"),
        (None, "Not at its end: the first losing commit is one of 1"),
    ],
)
def test_other_endings(ending: Ending | None, words: str) -> None:
    found = replace(FOUND, ending=ending, culprits=())
    assert words in headline(found)
    assert answer_data(found)["answer"] == (ending and ending.name.lower())


def test_many_culprits_are_named_up_to_twenty() -> None:
    many = tuple(Candidate(f"{n:040x}", "", f"{n:040x}") for n in range(30))
    said = next(sentences(replace(FOUND, culprits=many)))
    assert said.endswith(", 000000000000 and 10 more.")
    assert "is one of 30" in headline(replace(FOUND, culprits=many))


def test_shares_are_never_rounded_to_certainty() -> None:
    assert [percent(each) for each in (0.9999, 0.995, 0.978, 0.05, 0.00123, 1.0)] == [
        "99.9 %", "99.5 %", "98 %", "5 %", "0.12 %", "100 %",
    ]  # fmt: skip


def test_a_rate_that_changes_is_told() -> None:
    """The newest kernels lose each time, the ones before them one time in fifty."""
    begun = Begun(
        find=Find.BREAK, min_rate=0.01, confidence=0.95, settings={},
        candidates=tuple((f"k{index}", "", None) for index in range(9)),
        parents=((), *((index,) for index in range(8))),
    )  # fmt: skip
    state = State.begin(begun)
    counts = [(8, 12, 12), (0, 9, 0), (4, 90, 1), (5, 40, 1), (6, 75, 1), (7, 10, 10)]
    for candidate, loads, losses in counts:
        state.add(BootRecord(candidate, Phase.SEARCH, loads, loads, losses, 1.0, "x"))
    found = answer_of(state)
    assert "k4 1 of 90" in found.change
    assert "k8 12 of 12" in found.change
    assert any("seems to change along the history" in each for each in sentences(found))
    assert found.what == "kernel"
