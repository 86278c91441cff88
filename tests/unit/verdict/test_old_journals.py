"""Journals that were written before the fold: the same counts, verdicts and reasons.

tests/golden/journals has them, in their old form, and what was printed of them then: the
object of `--json`, or for an interrupted run the counts with which `--resume` began.
"""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from orchestrator.journal.counts import CellState
from orchestrator.journal.fold import fold
from orchestrator.journal.plain import plain
from orchestrator.results.summary import summary
from orchestrator.verdict.run import judge_run
from tests.support.old_journal import old_records
from tests.support.places import GOLDEN

JOURNALS = sorted((GOLDEN / "journals").glob("*.jsonl.gz"))

#: What the run printed of a cell, except for the times of first ticks: it computed those
#: from numbers that the journal has rounded to 4 digits.
PRINTED = (
    "id", "verdict", "why", "trials", "attempts", "unknown_attempts", "saves", "lossy_saves",
    "outcomes", "diagnoses", "lost_by_vcpu", "loss_rate", "controls",
)  # fmt: skip


def name(path: Path) -> str:
    return path.name.removesuffix(".jsonl.gz")


def expected(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.with_name(f"{name(path)}.json").read_text())
    return found


FINISHED = [path for path in JOURNALS if "cells" in expected(path)]
CUT_SHORT = [path for path in JOURNALS if path not in FINISHED]


def in_todays_words(why: str) -> str:
    """Return a sentence as it has been put since."""
    return why.replace("a periodic one goes on", "a periodic timer goes on")


def folded(path: Path) -> Any:
    return fold(old_records(gzip.decompress(path.read_bytes()).decode().splitlines(keepends=True)))


def test_there_are_journals_of_every_kind() -> None:
    assert len(FINISHED) >= 25
    assert len(CUT_SHORT) >= 3
    verdicts = {cell["verdict"] for path in FINISHED for cell in expected(path)["cells"]}
    assert verdicts == {"clean", "affected", "anomalous", "inconclusive", "skipped"}


@pytest.mark.parametrize("path", FINISHED, ids=name)
def test_a_finished_run_gets_the_verdict_that_was_printed(path: Path) -> None:
    before = expected(path)
    now = summary(judge_run(folded(path), path))
    for of_run in ("verdict", "statement", "seed", "changed"):
        assert now[of_run] == before[of_run]
    assert now["interrupted"] is None
    for cell, printed in zip(now["cells"], before["cells"], strict=True):
        assert {key: cell[key] for key in PRINTED} == {
            # JSON has only text for keys.
            key: {int(k): v for k, v in printed[key].items()} if key == "lost_by_vcpu"
            else printed[key] for key in PRINTED
        }  # fmt: skip
        assert cell["exposure"]["state"] == printed["exposure"]["state"]
        assert cell["exposure"]["why"] == in_todays_words(printed["exposure"]["why"])
        for times in ("first_tick_periods", "first_tick_ms"):
            assert cell[times] == (printed[times] and pytest.approx(printed[times], abs=1e-3))
        for phase, shown in zip(cell["phases"], printed["phases"], strict=True):
            same = ("from", "to", "expired", "saves", "trials", "outcomes")
            assert {key: phase[key] for key in same} == {key: shown[key] for key in same}


@pytest.mark.parametrize("path", CUT_SHORT, ids=name)
def test_an_interrupted_run_resumes_with_the_counts_that_it_resumed_with(path: Path) -> None:
    cells = folded(path).cells
    before = expected(path)
    assert {key for key, cell in cells.items() if counted_anything(cell)} <= set(before)
    for key, counts in before.items():
        cell = cells[key]
        assert {
            "outcomes": plain(cell.outcomes), "causes": plain(cell.causes),
            "attempts": cell.attempts, "unknown_attempts": cell.unknown_attempts,
            "saves": cell.saves, "lossy_saves": cell.lossy_saves,
            "bug_losses": cell.bug_losses, "controls": [each.seen for each in cell.controls],
            "loads": list(cell.by_save.loads), "lost": list(cell.by_save.lost),
            "lost_by_vcpu": {str(vcpu): n for vcpu, n in cell.lost_by_vcpu.items()},
        } == counts  # fmt: skip


def counted_anything(cell: CellState) -> bool:
    return bool(cell.attempts or cell.saves or cell.controls)
