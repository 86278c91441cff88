"""A run that was cut short goes on: what was counted stays counted."""

import asyncio
import errno
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.campaign.resume import ResumeError, read_run
from orchestrator.campaign.run import run_plan
from orchestrator.cli.events import events_to
from orchestrator.cli.live import Show
from orchestrator.findings.outcome import Outcome
from orchestrator.journal import recorder
from orchestrator.journal.file import BusyJournalError, Journal, JournalError
from orchestrator.journal.records import PlanRecord, Record
from orchestrator.journal.trial_record import Role, TrialRecord
from orchestrator.testing import FACTS, FakeHost, FakeQemu, FakeVcpu, Script, immediate, lost
from orchestrator.verdict.verdict import Verdict
from orchestrator.vm.config import Accel
from tests.support.cut_short_runs import PLAN, cut_short, go_on, trials
from tests.support.journal import journal_dicts
from tests.support.records import heads


async def test_no_finished_cell_is_repeated(tmp_path: Path) -> None:
    before = await cut_short(tmp_path, Script(immediate), "cell", 1)
    (done,) = [record for record in before if record["record"] == "cell"]
    result = await go_on(tmp_path, Script(immediate))
    after = journal_dicts(result.journal)
    assert len([r for r in trials(after) if r["cell"] == done["cell"]]) == 4
    assert [r["cell"] for r in after if r["record"] == "cell"].count(done["cell"]) == 1
    assert result.verdict is Verdict.CLEAN
    assert [cell.counts.outcomes.total() for cell in result.cells] == [4, 4]
    assert all(len(cell.counts.controls) >= 1 for cell in result.cells)
    numbers = [record["number"] for record in after if record["record"] == "instance"]
    assert numbers == list(range(1, len(numbers) + 1))
    assert result.changed == ()
    assert read_run(tmp_path).finished


async def test_a_loss_before_the_cut_is_not_forgotten(tmp_path: Path) -> None:
    def once(qemu: FakeQemu, vcpu: FakeVcpu, number: int) -> None:
        (lost if not seen else immediate)(qemu, vcpu, number)

    seen: list[int] = []
    before = await cut_short(tmp_path, Script(once), "trial", 3)
    lost_before = [r for r in trials(before) if r["outcome"] == "lost"]
    assert lost_before
    seen.append(1)
    result = await go_on(tmp_path, Script(once))
    assert result.verdict is Verdict.AFFECTED
    after = trials(journal_dicts(result.journal))
    counted = sum(cell.counts.outcomes[Outcome.LOST] for cell in result.cells)
    assert counted == len([r for r in after if r["outcome"] == "lost"]) >= len(lost_before)
    for cell in result.cells:
        assert cell.counts.outcomes.total() == 4
        assert len([r for r in after if r["cell"] == cell.cell.id]) == cell.counts.attempts


async def test_evidence_that_no_record_names_is_left_alone(tmp_path: Path) -> None:
    """The run was killed, or its disk was full, after the evidence and before the record."""
    await cut_short(tmp_path, Script(immediate), "trial", 1)
    (tmp_path / "evidence" / "0009-host-lost").mkdir(parents=True)
    result = await go_on(tmp_path, Script(lost))
    assert not result.failed
    named = [r["evidence"] for r in trials(journal_dicts(result.journal)) if r["evidence"]]
    assert named
    assert min(named) > "evidence/0009"


async def test_a_changed_host_is_a_changed_host(tmp_path: Path) -> None:
    before = await cut_short(tmp_path, Script(immediate), "trial", 3)
    assert trials(before)
    other = replace(FACTS, kernel="6.7.0-other")
    result = await go_on(tmp_path, Script(immediate), other)
    assert result.changed == ("kernel",)
    after = journal_dicts(result.journal)
    (resumed,) = [record for record in after if record["record"] == "resumed"]
    assert resumed["changed"] == {"kernel": [FACTS.kernel, "6.7.0-other"]}
    assert any(record["record"] == "restart" for record in after)
    # What the other kernel did is not taken for this one's.
    assert [cell.counts.outcomes.total() for cell in result.cells] == [4, 4]
    done = {record["cell"] for record in before if record["record"] == "cell"}
    for cell in result.cells:
        ran = [r for r in trials(after) if r["cell"] == cell.cell.id]
        assert cell.cell.id in done or len(ran) >= 4


async def test_what_another_host_lost_is_not_this_host_s(tmp_path: Path) -> None:
    """Begun here, gone on with there, and then here again."""
    other = replace(FACTS, kernel="6.3.0-affected")
    await cut_short(tmp_path, Script(immediate), "instance", 1)
    before = await cut_short(tmp_path, Script(lost), "trial", 2, other)
    assert any(r["outcome"] == "lost" for r in trials(before))
    assert not any(r["record"] == "cell" for r in before)
    result = await go_on(tmp_path, Script(immediate))
    assert result.changed == ("kernel",)
    assert result.verdict is Verdict.CLEAN
    for cell in result.cells:
        assert cell.counts.outcomes[Outcome.LOST] == 0
        assert cell.counts.outcomes.total() == 4


async def test_where_it_ran_last_it_goes_on(tmp_path: Path) -> None:
    """On the other host a second time, nothing begins anew."""
    other = replace(FACTS, kernel="6.7.0-other")
    await cut_short(tmp_path, Script(immediate), "instance", 1)
    before = await cut_short(tmp_path, Script(immediate), "trial", 3, other)
    assert trials(before)
    result = await go_on(tmp_path, Script(immediate), other)
    assert result.changed == ()
    after = journal_dicts(result.journal)
    assert len(trials(after)) == 8


async def test_a_run_that_went_on_meanwhile_is_not_resumed_from_what_was_read(
    tmp_path: Path,
) -> None:
    await cut_short(tmp_path, Script(immediate), "trial", 1)
    stale = read_run(tmp_path)
    await cut_short(tmp_path, Script(immediate), "trial", 3)
    with pytest.raises(ResumeError, match="another process has gone on with it"):
        await run_plan(FakeHost(Script(immediate)), PLAN, Accel.KVM, tmp_path, resumed=stale)
    result = await go_on(tmp_path, Script(immediate))
    assert [cell.counts.trials for cell in result.cells] == [4, 4]


async def test_a_run_that_goes_on_is_not_resumed(tmp_path: Path) -> None:
    task = asyncio.create_task(go_on(tmp_path, Script(immediate)))
    journal = tmp_path / "journal.jsonl"
    async with asyncio.timeout(60):
        while not journal.exists() or '"instance"' not in journal.read_text():  # noqa: ASYNC110
            await asyncio.sleep(0.002)
    with pytest.raises(BusyJournalError, match="that run still goes on"):
        await go_on(tmp_path, Script(immediate))
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def test_a_lab_run_is_not_resumed(tmp_path: Path) -> None:
    cells = tuple(replace(cell, host="6.1.1/untouched") for cell in PLAN.cells(Accel.KVM))
    with Journal(tmp_path / "journal.jsonl") as journal:
        for record in heads(PLAN)[:2]:
            journal.write(record)
        journal.write(PlanRecord(PLAN.model_dump(mode="json"), cells, Accel.KVM))
    with pytest.raises(ResumeError, match="its cells ran in labs"):
        read_run(tmp_path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "No such file"),
        ("", "cut off before it began"),
        ("{}\n", "the journal of a losttick run"),
    ],
)
def test_what_is_no_run_is_refused(tmp_path: Path, content: str | None, words: str) -> None:
    if content is not None:
        (tmp_path / "journal.jsonl").write_text(content)
    with pytest.raises(ResumeError, match=words):
        read_run(tmp_path)


async def test_events_follow_the_run(tmp_path: Path) -> None:
    (out := tmp_path / "out").mkdir()
    with Show(0.95) as show, events_to(tmp_path / "events", show) as progress:
        await run_plan(FakeHost(Script(immediate)), PLAN, Accel.KVM, out, progress)
    events = [json.loads(line) for line in (tmp_path / "events").read_text().splitlines()]
    kinds = [event["event"] for event in events]
    assert kinds[0] == "run_begins"
    assert kinds.count("cell_begins") == kinds.count("cell_ends") == 2
    assert kinds.count("control_seen") == 2
    assert kinds.count("attempt_ends") == 8
    assert {e["verdict"] for e in events if e["event"] == "cell_ends"} == {"clean"}


async def test_a_run_goes_on_although_nobody_reads_its_events(tmp_path: Path) -> None:
    (out := tmp_path / "out").mkdir()
    os.mkfifo(tmp_path / "events")
    with Show(0.95) as show, events_to(tmp_path / "events", show) as progress:
        result = await run_plan(FakeHost(Script(immediate)), PLAN, Accel.KVM, out, progress)
    assert result.verdict is Verdict.CLEAN


async def test_a_record_that_is_lost_ends_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk is full for a moment: the run ends, and can be resumed where it was."""
    write, fails = Journal.write, iter([False, False, True])

    def full_for_a_moment(journal: Journal, record: Record) -> bytes:
        if isinstance(record, TrialRecord) and record.role is Role.HOST and next(fails, False):
            raise JournalError("writing to the journal: No space left on device")
        return write(journal, record)

    monkeypatch.setattr(Journal, "write", full_for_a_moment)
    with pytest.raises(JournalError, match="No space left"):
        await go_on(tmp_path, Script(immediate))
    assert not any(r["record"] == "failure" for r in journal_dicts(tmp_path / "journal.jsonl"))
    result = await go_on(tmp_path, Script(immediate))
    assert result.verdict is Verdict.CLEAN
    assert [cell.counts.trials for cell in result.cells] == [4, 4]


async def test_evidence_that_cannot_be_kept_ends_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(recorder, "write_evidence", full)
        with pytest.raises(JournalError, match=r"0001-control-lost: No space left"):
            await go_on(tmp_path, Script(lost))
    result = await go_on(tmp_path, Script(lost))
    assert result.verdict is Verdict.AFFECTED
    assert [cell.counts.trials for cell in result.cells] == [4, 4]
