from collections import Counter
from pathlib import Path

import pytest

from orchestrator.results.journal import Journal, JournalError, plain, read_journal
from orchestrator.results.summary import spread
from orchestrator.trial.outcome import FirstTick, Outcome


def test_a_journal_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    with Journal(path) as journal:
        journal.write("trial", outcome=Outcome.LOST, first_tick=FirstTick(1.0, 1.1, 20.0))
        journal.write("cell", outcomes=Counter({Outcome.LOST: 1, Outcome.MISSED: 0}))
        first, second = read_journal(path)  # readable while it is being written
    assert first["outcome"] == "lost"
    assert first["first_tick"] == {"periods": 1.0, "wall_periods": 1.1, "ms": 20.0}
    assert second["outcomes"] == {"lost": 1}


def test_a_torn_last_line_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_text('{"record":"a"}\n{"record":"b"}\n{"rec')
    assert [record["record"] for record in read_journal(path)] == ["a", "b"]


def test_a_journal_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_text("precious")
    with pytest.raises(JournalError, match=r"File exists.*--out"):
        Journal(path)
    assert path.read_text() == "precious"


def test_plain_sorts_sets() -> None:
    assert plain({"a": frozenset({3, 1}), Outcome.LOST: (1, Outcome.MISSED)}) == {
        "a": [1, 3],
        "lost": [1, "missed"],
    }


def test_spread() -> None:
    assert spread([]) is None
    assert spread([float(n) for n in range(1000)]) == {"median": 499.5, "p99": 989.0}
    assert spread([4.0]) == {"median": 4.0, "p99": 4.0}
