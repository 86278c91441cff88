"""The evidence of a hang has the times of its save, of its load and of each look."""

import itertools
from pathlib import Path

import pytest

from orchestrator.findings.outcome import Outcome
from orchestrator.journal.file import read_journal
from orchestrator.journal.records import SaveRecord
from orchestrator.journal.trial_record import Role, TrialRecord
from orchestrator.results.evidence import Seen, read_evidence
from orchestrator.testing import lost
from orchestrator.testing.script import Behaviour
from tests.support.fake_campaigns import campaign, only_ordinary
from tests.support.golden_campaigns import BEHAVIOURS


async def hang(tmp_path: Path, behaviour: Behaviour) -> tuple[TrialRecord, Seen]:
    result, _ = await campaign(tmp_path, only_ordinary(behaviour), trials=1)
    trial = next(
        record
        for record in read_journal(result.journal)
        if isinstance(record, TrialRecord) and record.role is Role.HOST
    )
    files = read_evidence(tmp_path, trial.evidence or "")
    assert not files.fault
    assert files.seen
    return trial, files.seen


async def test_a_loss(tmp_path: Path) -> None:
    trial, seen = await hang(tmp_path, lost)
    assert trial.outcome is Outcome.LOST
    whole, (part,) = seen.evidence, seen.evidence.vcpus
    assert [look.name for look in whole.looks] == [
        "query-status", "pmemsave", "info lapic", "query-stats", "info registers",
        "NMI 1", "NMI 2", "NMI 3, which re-arms",
    ]  # fmt: skip
    assert [look.rearms for look in whole.looks] == [False] * 7 + [True]
    moments = [
        seen.save.saved_ns, seen.trial.began_ns, seen.trial.resumed_ns, whole.began_ns,
        *(moment for look in whole.looks for moment in (look.began_ns, look.ended_ns)),
        part.ticked_ns, whole.ended_ns,
    ]  # fmt: skip
    assert None not in moments
    assert moments[0]
    assert moments == sorted(moments)
    # The guest was silent for ten periods before anybody looked.
    assert whole.began_ns - seen.trial.resumed_ns >= 10 * 100_000_000
    # Each look is followed by two periods in which the guest is left alone.
    for before, after in itertools.pairwise(whole.looks):
        assert after.began_ns - before.ended_ns >= 2 * 100_000_000


@pytest.mark.parametrize("cure", ["info lapic", "inject-nmi"])
async def test_ticks_that_a_look_brings_back(tmp_path: Path, cure: str) -> None:
    _, seen = await hang(
        tmp_path, BEHAVIOURS[f"pending until {'an NMI' if 'nmi' in cure else cure}"]
    )
    (part,) = seen.evidence.vcpus
    last = seen.evidence.looks[-1]
    assert part.cured_by == last.name
    assert part.ticked_ns is not None
    assert last.began_ns <= part.ticked_ns <= seen.evidence.ended_ns


async def test_the_journal_has_the_time_of_each_save(tmp_path: Path) -> None:
    result, _ = await campaign(tmp_path, only_ordinary(lost), trials=2)
    saves = [r.save for r in read_journal(result.journal) if isinstance(r, SaveRecord)]
    times = [save.saved_ns for save in saves]
    assert len(times) == 4  # two of them for controls
    assert all(times)
