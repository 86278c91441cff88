"""Output folders that are attacked, deleted, moved or full while a run writes into them."""

import asyncio
import contextlib
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.campaign.resume import read_run
from orchestrator.campaign.room import NoRoomError
from orchestrator.campaign.run import run_plan
from orchestrator.journal import recorder, standing
from orchestrator.journal.file import Journal, JournalError, LostJournalError, TakenJournalError
from orchestrator.journal.out_folder import OutFolderError
from orchestrator.journal.standing import all_done
from orchestrator.plan.load import build_plan
from orchestrator.results.result import read_result
from orchestrator.testing import FakeHost, FakeQemu, FakeVcpu, Script, immediate, lost
from orchestrator.testing.script import Behaviour, only_in_trials
from orchestrator.verdict.run import RunResult
from orchestrator.verdict.verdict import Verdict
from orchestrator.vm.config import Accel
from tests.support.cut_short_runs import PLAN, cut_short, go_on
from tests.support.foreign_user import OtherUser
from tests.support.heard import Heard
from tests.support.journal import journal_dicts
from tests.support.small_disk import SmallDisk


async def run(out: Path, *, shared_out: bool = False) -> RunResult:
    return await run_plan(
        FakeHost(Script(lost)), PLAN, Accel.KVM, out, shared_out=shared_out
    )  # fmt: skip


PLANTED = ("journal.jsonl", "console/instance-0001.log", "console", "evidence",
           "evidence/0001-control-lost/evidence.json")  # fmt: skip


@pytest.mark.parametrize("name", PLANTED)
async def test_a_planted_link_overwrites_nothing(
    other_user: OtherUser, tmp_path: Path, name: str
) -> None:
    """The run is root's, and the folder another user's."""
    precious = tmp_path / "precious"
    precious.write_text("precious")
    other_user.sh(f"mkdir -p out; cd out; mkdir -p $(dirname {name}); ln -s {precious} {name}")
    out = other_user.home / "out"
    with pytest.raises(OutFolderError, match="it belongs to user nobody"):
        await run(out)
    with contextlib.suppress(JournalError):  # a link where a folder should be ends the run
        await run(out, shared_out=True)
    assert precious.read_text() == "precious"
    assert (out / name).is_symlink()


async def test_a_link_to_a_folder_is_not_written_into(
    other_user: OtherUser, tmp_path: Path
) -> None:
    for name in ("console", "evidence"):
        (tmp_path / name).mkdir()
        other_user.sh(f"mkdir -p {name}/out; ln -s {tmp_path}/{name} {name}/out/{name}")
        with pytest.raises(JournalError, match=f"writing to .*{name}.*: Not a directory"):
            await run(other_user.home / name / "out", shared_out=True)
        assert list((tmp_path / name).iterdir()) == []


async def test_a_forged_journal_is_not_resumed(other_user: OtherUser) -> None:
    """It would name the QEMU that root then runs."""
    out = other_user.home / "out"
    out.mkdir()
    await run(out)
    other_user.sh("cp -r out forged")
    with pytest.raises(OutFolderError, match="it belongs to user nobody"):
        Journal(other_user.home / "forged" / "journal.jsonl", resume=True)
    assert read_result(other_user.home / "forged").verdict is Verdict.AFFECTED, "anyone may look"


async def test_a_run_that_began_meanwhile_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "journal.jsonl").write_text("of another process")
    with pytest.raises(TakenJournalError, match="another process has begun a run there"):
        await run(tmp_path)
    assert (tmp_path / "journal.jsonl").read_text() == "of another process"


# --- deleted or moved ---


def delete_journal(out: Path) -> None:
    (out / "journal.jsonl").unlink()


def move_journal(out: Path) -> None:
    (out / "journal.jsonl").rename(out / "journal.jsonl.1")


def replace_journal(out: Path) -> None:
    move_journal(out)
    shutil.copy(out / "journal.jsonl.1", out / "journal.jsonl")


def move_folder(out: Path) -> None:
    out.rename(out.with_name("moved"))


LOSSES = [
    (delete_journal, "it was deleted while the run went on"),
    (shutil.rmtree, "it was deleted while the run went on"),
    (move_journal, "it was moved while the run went on"),
    (replace_journal, "it was moved while the run went on"),
    (move_folder, "it was moved while the run went on"),
]


@pytest.mark.parametrize("behaviour", [immediate, lost])
@pytest.mark.parametrize(("harm", "words"), LOSSES)
async def test_a_lost_journal_ends_the_run_with_the_next_record(
    tmp_path: Path, harm: Callable[[Path], None], words: str, behaviour: Behaviour
) -> None:
    """Or with the next evidence, which is written before its record."""
    (out := tmp_path / "out").mkdir()
    loads: list[int] = []

    def harmed(qemu: FakeQemu, vcpu: FakeVcpu, number: int) -> None:
        behaviour(qemu, vcpu, number)
        loads.append(number)
        if len(loads) == 5:
            harm(out)

    with pytest.raises(LostJournalError, match=words):
        await go_on(out, Script(harmed))
    assert len(loads) == 5
    if harm is move_folder and behaviour is immediate:
        result = await go_on(tmp_path / "moved", Script(immediate))
        assert [cell.counts.trials for cell in result.cells] == [4, 4]


def test_a_lost_journal_is_noticed_before_a_console_is_begun(tmp_path: Path) -> None:
    (out := tmp_path / "out").mkdir()
    with Journal(out / "journal.jsonl") as journal:
        shutil.rmtree(out)
        with pytest.raises(LostJournalError):
            recorder.Recorder(journal).next_console()


async def test_a_lost_journal_is_noticed_while_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = asyncio.get_running_loop()
    with Journal(tmp_path / "journal.jsonl") as journal:
        endless = asyncio.create_task(asyncio.Event().wait())
        loop.call_later(100, (tmp_path / "journal.jsonl").unlink)
        with pytest.raises(LostJournalError):
            await all_done([endless], journal)
        assert 100 <= loop.time() <= 100 + 2 * standing.LOOK_S
        endless.cancel()


# --- evidence without end ---


def kept(out: Path) -> list[int]:
    """Return the trials whose evidence was kept."""
    trials = [r for r in journal_dicts(out / "journal.jsonl") if r["record"] == "trial"]
    named = {r["evidence"]: r for r in trials if r["evidence"]}
    there = {f"evidence/{path.name}" for path in (out / "evidence").iterdir()}
    assert there == set(named)
    return [r["number"] for r in named.values() if r["role"] == "host"]


async def test_evidence_is_kept_of_the_first_losses_and_of_a_sample(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "KEPT_EVIDENCE", 4)
    data = {
        "axes": {"accel": "kvm", "period_ms": 20},
        "limits": {"trials": 60, "rule_out": 0.05},
        "seed": 5,
    }
    plan = build_plan(data, "test")
    (whole := tmp_path / "whole").mkdir()
    (cut := tmp_path / "cut").mkdir()
    script = Script(only_in_trials(lost))
    await run_plan(FakeHost(script), plan, Accel.KVM, whole)
    numbers = kept(whole)
    assert numbers[:4] == [1, 2, 3, 4]
    assert 4 < len(numbers) < 30
    assert len(set(numbers)) == len(numbers)

    await cut_short(cut, script, "trial", 20, plan=plan)
    await run_plan(FakeHost(script), plan, Accel.KVM, cut, resumed=read_run(cut))
    assert kept(cut) == numbers, "a resumed run keeps the same"


# --- full disks ---

MIB = 1024


async def test_a_run_pauses_until_there_is_room(
    small_disk: Callable[[int], SmallDisk], tmp_path: Path
) -> None:
    disk = small_disk(24 * MIB)
    out = disk.path / "out"
    out.mkdir()
    filled: list[Path] = []

    class Cleaner(Heard):
        """Hears that the run pauses, and makes room after an hour."""

        def noted(self, text: str) -> None:
            self.notes.append(text)
            if "pausing until there is room" in text:
                host.clock.call_later(3600 * 10**9, filled.pop().unlink)

    def full(qemu: FakeQemu, vcpu: FakeVcpu, number: int) -> None:
        immediate(qemu, vcpu, number)
        if not filled and number == 2:
            filled.append(disk.fill(leave_bytes=100_000))

    host, heard = FakeHost(Script(full)), Cleaner()
    result = await run_plan(host, PLAN, Accel.KVM, out, heard)  # type: ignore[arg-type]
    assert result.verdict is Verdict.CLEAN
    assert [cell.counts.trials for cell in result.cells] == [4, 4]
    records = journal_dicts(result.journal)
    kinds = [r["record"] for r in records if r.get("role", "host") == "host"]
    assert kinds[: kinds.index("pause")].count("trial") < 4, "the cell goes on after the pause"
    pause, *_ = [r for r in records if r["record"] == "pause"]
    assert f"almost no space left on the disk of {out}" in pause["why"]
    assert 3600e9 <= pause["ns"] <= 3700e9
    assert any("there is room again" in note for note in heard.notes)


async def test_a_run_does_not_begin_without_room(small_disk: Callable[[int], SmallDisk]) -> None:
    disk = small_disk(24 * MIB)
    out = disk.path / "out"
    out.mkdir()
    ballast = disk.fill(leave_bytes=200_000)
    with pytest.raises(NoRoomError, match="beginning a run: almost no space left on the disk"):
        await run(out)
    ballast.unlink()
    result = await run_plan(
        FakeHost(Script(lost)), PLAN, Accel.KVM, out, resumed=read_run(out)
    )  # fmt: skip
    assert result.verdict is Verdict.AFFECTED


@pytest.mark.parametrize("kib", [20, 28, 36, 60, 100, 180])
async def test_a_disk_that_fills_up_loses_nothing(
    small_disk: Callable[[int], SmallDisk], kib: int
) -> None:
    """Whatever did not fit, be it the journal, evidence or a console: the run can be resumed."""
    disk = small_disk(kib)
    out = disk.path / "out"
    out.mkdir()
    with pytest.raises(JournalError, match="No space left on device"):
        await go_on(out, Script(lost))
    counted = [cell.counts.trials for cell in read_result(out).cells]
    disk.resize(10 * kib + 1000)
    result = await go_on(out, Script(lost))
    assert [cell.counts.trials for cell in result.cells] == [4, 4]
    records = journal_dicts(result.journal)
    kept_trials = [r for r in records if r["record"] == "trial" and r["role"] == "host"]
    assert len(kept_trials) == 8, counted
