from orchestrator.findings.outcome import Outcome
from orchestrator.journal.plain import plain


def test_plain_sorts_sets() -> None:
    assert plain({"a": frozenset({3, 1}), Outcome.LOST: (1, Outcome.MISSED)}) == {
        "a": [1, 3],
        "lost": [1, "missed"],
    }
