"""Journals that were written before the fold: the same counts, verdicts and reasons.

tests/golden/journals has them, in their old form, and what was printed of them then: the
object of `--json`, or for an interrupted run the counts with which `--resume` began.
"""

import gzip
import json
import re
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


#: Sentences that have been put into other words since. The numbers in them are the same.
REWORDED = (
    (r"a periodic one goes on", "a periodic timer goes on"),
    (r"^of (\d+) loads: ([^;(]*[^;( ])", r"\2 in \1 loads"),
    (r"a real one might have been missed, too", "a real loss might have been missed too"),
    (r"%: that takes (\d+) without a loss", r"%, which takes \1 loads without a loss"),
    (r"it takes (\d+) to be sure", r"\1 are needed to be sure"),
    (r"the APICv bug loses the first tick of a one-shot timer after a load, not these",
     "the APICv bug loses only the first tick of a one-shot timer after a load"),
    (r"nothing is ruled out(?!\.)", "no loss rate is ruled out"),
    (r"they rule out a loss rate", "this rules out loss rates"),
    (r"; a tenth of ([\d.]+%), once mended, is ruled out by ([\d,]+) loads without a loss",
     r". After a repair, \2 loads without a loss rule out a tenth of \1"),
    (r"above ([\d.]+%) if all (\d+) attempts that ended unknown lost it",
     r"only rates above \1 if each of the \2 unknown attempts was a loss"),
    (r"above ([\d.]+%) if some saves lose and others don't, as there were (\d+)",
     r"only rates above \1 if losses depend on the save: \2 saves were tested"),
    (r"nothing, if some saves lose and others don't: there was only one",
     "no rate if losses depend on the save: one save was tested"),
    (r"; to rule out a tenth of that takes ([\d,]+) more without a loss",
     r". To rule out a tenth of this rate, run \1 more loads"),
    (r"loads lost the timer's interrupt",
     "loads lost the timer's interrupt, as the APICv bug does (expired or never started: no "
     "second witness tells which; "
     "`losttick probe` asks one)"),
    (r"; losses by vCPU", ". Losses by vCPU"),
    (r"; its time of ([\d.]+) s was up", r". The time limit of \1 s was reached"),
    (r"(attempts ended unknown, more than 5%)", r"\1 (1 vCPU not running)"),
    (r"APICv is required, and it is not in use", "APICv is required, but not in use"),
    (r"cells are clean, with an error of at most ([\d.]+) each; that the bounds of all hold at "
     r"once is certain to (\d+%) for ([\d.]+%)",
     r"cells are clean, each with an error of at most \1. At \2 confidence for all of them at "
     r"once, their loss rates are at most \3"),
    (r"If any cell lost more than its bound, a clean run would have a probability of at most "
     r"([\d.]+)\b",
     r"If any cell had a higher loss rate than its bound, the probability of a clean run would be "
     r"at most \1"),
    (r"That any of (\d+) cells is called affected by mistake has a probability of at most",
     r"The probability that any of \1 cells is called affected by mistake is at most"),
    (r"(\d+) of (\d+) cells clean, none affected",
     r"Of \2 cells, \1 are clean and none is affected"),
    (r"Of 1 cells, 1 are clean", "Of 1 cell, 1 is clean"),
    (r"Of 1 cells, 0 are clean", "Of 1 cell, 0 are clean"),
    (r"^((?:\d+ (?:missed|recovered|crashed),? )+in \d+ loads); none was diagnosed as a lost "
     r"one-shot interrupt", r"\1; no load lost its timer, so this is not the APICv bug"),
    (r"AVIC keeps pending interrupts in the IRR and is immune",
     "the APICv bug strikes kvm_intel only; AVIC has a bug of its own, the stale TPR with AVIC "
     "(fixed by d02e48830e3f), which shows only with irqchip=split"),
    (r"TCG has a LAPIC of its own:", "under TCG a guest has QEMU's own LAPIC:"),
)  # fmt: skip


#: Runs from before there were shams, which have no baseline for their `missed` ticks: the verdict
#: that they get now, and the old and new beginning of its reason.
WITHOUT_SHAMS = {
    "missed": (
        "inconclusive",
        "2 missed in 4 loads; no load lost its timer, so this is not the APICv bug",
        "2 of 4 loads had a late tick, and 0 pairs of a load and a sham (stop and continue without "
        "a load) are too few to show why. Run it again while the host is less busy, or with more "
        "--trials",
    ),
    "smp-mixed": ("anomalous", "2 missed, 1 recovered in 4 loads", "1 recovered in 4 loads"),
}


def as_judged_today(path: Path) -> dict[str, Any]:
    """Return what was printed, in today's words and with today's rule about late ticks."""
    found = expected(path)
    for cell in found["cells"]:
        cell["why"] = in_todays_words(cell["why"])
        if name(path) in WITHOUT_SHAMS:
            verdict, before, now = WITHOUT_SHAMS[name(path)]
            assert cell["why"].startswith(before)
            cell["why"] = cell["why"].replace(before, now)
            cell["verdict"] = found["verdict"] = verdict
    return found


def in_todays_words(text: str) -> str:
    """Return a sentence in the words that losttick uses today."""
    for before, now in REWORDED:
        text = re.sub(before, now, text)
    return text


#: Sentences that were added since then: what to do, known bugs that trials look like, the number
#: of expired saves, how far a cell had come when it ended early, and, with a loss, the bound
#: over saves.
NEW = (
    r"\. Run it again while the host is less busy, or with a longer --period$",
    r"\. (?:The evidence folders of the controls say why\. Run it again while the host is less "
    r"busy|This guest or this run has no control)$",
    r"\. (?:The only save|(?:All|\d+ of) \d+ saves) (?:was|were) `expired`: .*? and the save",
    r"(?<=reached) after \d+ of \d+ loads, \w+ of them lost",
    r"^the campaign ended early, (?:after \d+ of \d+ loads, \w+ of them lost|before the first "
    r"load): ",
    r"\. \d+ of these looks? like .*",
    r" if losses do not depend on the save, and .*? tested\)",
    r"\. `losttick run --resume DIR` tries again$",
    r"\. A save is given up at its first loss, so these rates say nothing of the loads that would "
    r"have followed",
)


def without_what_is_new(text: str) -> str:
    """Return a reason without the sentences that are new."""
    for new in NEW:
        text = re.sub(new, "", text)
    return text


def folded(path: Path) -> Any:
    return fold(old_records(gzip.decompress(path.read_bytes()).decode().splitlines(keepends=True)))


def test_there_are_journals_of_every_kind() -> None:
    assert len(FINISHED) >= 25
    assert len(CUT_SHORT) >= 3
    verdicts = {cell["verdict"] for path in FINISHED for cell in expected(path)["cells"]}
    assert verdicts == {"clean", "affected", "anomalous", "inconclusive", "skipped"}


@pytest.mark.parametrize("path", FINISHED, ids=name)
def test_a_finished_run_gets_the_verdict_that_was_printed(path: Path) -> None:
    before = as_judged_today(path)
    now = summary(judge_run(folded(path), path))
    for of_run in ("verdict", "seed", "changed"):
        assert now[of_run] == before[of_run]
    assert now["statement"].replace(" that ran", "") == in_todays_words(before["statement"])
    assert now["interrupted"] is None
    for cell, printed in zip(now["cells"], before["cells"], strict=True):
        cell["why"] = without_what_is_new(cell["why"])
        del cell["loss_rate"]["over_saves"]
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
