"""The loop of a fleet: whatever dies, nothing is begun twice, and what is known is on the disk."""

import asyncio
import errno
import json
import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from orchestrator.fleet.begin import NoFleetError, begin, find, reopen
from orchestrator.fleet.drive import Drive, fleet_exit, states, task_exit
from orchestrator.fleet.executor import FleetError, Seen, TaskState
from orchestrator.fleet.log import BusyFleetError, FleetLogError, FleetWriter, read_log
from orchestrator.journal.file import JournalError
from orchestrator.journal.out_folder import OutFolderError
from orchestrator.results.exit_code import ExitCode
from tests.support.fake_fleet import FLEET, TASKS, FakeEngine, loaded

#: Reports of the fake engine on three tasks.
STEPS = 6


class Heard:
    """Keeps what is told."""

    def __init__(self) -> None:
        self.seen_: list[Seen] = []

    def seen(self, seen: Seen, states: Mapping[TaskState, int]) -> None:
        assert sum(states.values()) == len(TASKS)
        self.seen_.append(seen)


def drive(tmp_path: Path) -> Drive:
    """Begin a fleet in the folder `out`, or go on with the one there."""
    out = tmp_path / "out"
    if (out / "fleet.jsonl").exists():
        fleet, known = reopen(find(out))
        return Drive(fleet, FleetWriter(fleet.folder), known)
    return Drive(*begin(loaded(tmp_path), out))


async def go_on(tmp_path: Path, engine: FakeEngine) -> Drive:
    """Drive a fleet to its end, or until something dies; close its log."""
    driven = drive(tmp_path)
    with driven.log:
        await driven.run(engine, Heard())
    return driven


async def test_all_tasks_come_to_their_ends(tmp_path: Path) -> None:
    driven, engine, heard = drive(tmp_path), FakeEngine(), Heard()
    with driven.log:
        await driven.run(engine, heard)
    assert engine.began == TASKS
    assert engine.closed
    assert len(heard.seen_) == STEPS
    assert read_log(driven.fleet.folder).known == driven.known
    assert states(driven.fleet, driven.known) == {TaskState.ENDED: 3}
    again = await go_on(tmp_path, engine)
    assert engine.began == TASKS
    assert again.known == driven.known


@pytest.mark.parametrize("steps", range(STEPS))
async def test_a_driver_that_is_killed_after_any_step(tmp_path: Path, steps: int) -> None:
    """The log has all that the next driver needs; a torn last line is no trouble."""
    engine = FakeEngine(hangs_after=steps)
    driven = drive(tmp_path)
    task = asyncio.create_task(driven.run(engine, Heard()))
    for _ in range(10 * STEPS):
        await asyncio.sleep(0)
    assert engine.steps == steps
    os.close(driven.log._log._journal._fd)  # as the kernel does when a process is killed
    driven.log._log._journal._fd = -1
    with driven.fleet.folder.log.open("ab") as log:
        log.write(b'{"record":"seen","seq":')
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert engine.closed
    engine.hangs_after = None
    last = await go_on(tmp_path, engine)
    assert engine.began == TASKS  # none of them twice
    assert set(engine.known) == set(TASKS[: (steps + 1) // 2])
    assert {seen.state for seen in last.known.values()} == {TaskState.ENDED}
    handles = [last.known[each].handle for each in TASKS]
    assert handles == ["job-0", "job-1", "job-2"]


async def test_an_engine_that_dies(tmp_path: Path) -> None:
    engine = FakeEngine(fails_after=3)
    with pytest.raises(FleetError, match="does not answer"):
        await go_on(tmp_path, engine)
    engine.fails_after = None
    assert len((await go_on(tmp_path, engine)).known) == 3
    assert engine.began == TASKS


async def test_an_engine_that_says_nothing_more(tmp_path: Path) -> None:
    with pytest.raises(FleetError, match="3 of 3 tasks, such as a@old"):
        await go_on(tmp_path, FakeEngine(quits=True))


async def test_a_failed_task_gets_another_try_when_the_fleet_goes_on(tmp_path: Path) -> None:
    engine = FakeEngine({"a@new": Seen("a@new", TaskState.FAILED, "no such kernel")})
    driven = await go_on(tmp_path, engine)
    assert driven.known["a@new"].why == "no such kernel"
    assert fleet_exit(driven.fleet, driven.known) is ExitCode.HARNESS
    engine.ends = {}
    driven = await go_on(tmp_path, engine)
    assert engine.began == [*TASKS, "a@new"]
    assert driven.known["a@new"].state is TaskState.ENDED


async def test_two_drivers_at_once(tmp_path: Path) -> None:
    first = drive(tmp_path)
    with first.log, pytest.raises(BusyFleetError, match="another losttick goes on with it"):
        drive(tmp_path)
    drive(tmp_path).log.close()


async def test_a_full_disk_ends_the_driver_not_the_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, driven = FakeEngine(), drive(tmp_path)

    def full(fd: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with driven.log:
        with monkeypatch.context() as patched:
            patched.setattr(os, "write", full)
            with pytest.raises(JournalError, match="No space left"):
                await driven.run(engine, Heard())
        assert engine.closed
        assert driven.known == {}
    assert len((await go_on(tmp_path, engine)).known) == 3
    assert engine.began == TASKS


async def test_what_an_engine_says_is_inert(tmp_path: Path) -> None:
    hostile = "\x1b]0;x\x07\udcff" + "x" * 10**6
    engine = FakeEngine({"a@old": Seen("a@old", TaskState.FAILED, hostile, node=hostile,
                                       exit_code=10**9)})  # fmt: skip
    driven = await go_on(tmp_path, engine)
    seen = driven.known["a@old"]
    assert seen == read_log(driven.fleet.folder).known["a@old"]
    assert seen.why.isprintable()
    assert seen.node.isprintable()
    assert len(seen.why) <= 4000
    assert seen.exit_code is None
    for one in (Seen("a@old", TaskState.RUNNING, handle="\x1b"), Seen("../x", TaskState.RUNNING)):
        with pytest.raises(FleetError), drive(tmp_path).log as log:
            Drive(driven.fleet, log)._take([one], Heard())


async def test_a_word_of_the_engine_is_no_verdict(tmp_path: Path) -> None:
    """It says that a run was clean, and there is no run."""
    engine = FakeEngine({"a@old": Seen("a@old", TaskState.ENDED, exit_code=0)})
    driven = await go_on(tmp_path, engine)
    task, other = driven.fleet.tasks[:2]
    assert task_exit(task, driven.known[task.id], driven.fleet.folder) is ExitCode.HARNESS
    assert task_exit(other, driven.known[other.id], driven.fleet.folder) is ExitCode.UNFIT
    assert task_exit(other, None, driven.fleet.folder) is ExitCode.INCONCLUSIVE
    no_code = Seen(task.id, TaskState.ENDED)
    assert task_exit(task, no_code, driven.fleet.folder) is ExitCode.HARNESS


async def test_cancel_asks_for_every_task_without_an_end(tmp_path: Path) -> None:
    engine = FakeEngine(fails_after=3)
    with pytest.raises(FleetError):
        await go_on(tmp_path, engine)
    driven = drive(tmp_path)
    with driven.log:
        engine.fails_after = None
        await driven.look(engine, Heard())
        assert driven.known["b@old"].why == "looked at"
        await driven.cancel(engine, Heard())
    assert engine.cancelled == ["a@new", "b@old"]
    assert fleet_exit(driven.fleet, driven.known) is ExitCode.INCONCLUSIVE


def test_the_folder_of_another_fleet_is_left_alone(tmp_path: Path) -> None:
    drive(tmp_path).log.close()
    with pytest.raises(OutFolderError, match="losttick fleet resume"):
        begin(loaded(tmp_path), tmp_path / "out")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter").touch()
    with pytest.raises(OutFolderError, match="not empty"):
        begin(loaded(tmp_path), tmp_path / "full")


@pytest.mark.parametrize("left", [[], ["fleet.toml"], ["fleet.toml", "plan.toml", "fleet.jsonl"]])
def test_a_fleet_that_was_cut_off_before_it_began(tmp_path: Path, left: list[str]) -> None:
    (tmp_path / "out").mkdir()
    for name in left:
        (tmp_path / "out" / name).touch()
    fleet, log = begin(loaded(tmp_path), tmp_path / "out")
    log.close()
    assert fleet.folder.file.read_text() == FLEET
    assert reopen(find(tmp_path / "out"))[1] == {}


def test_the_newest_fleet_of_a_file_is_found(tmp_path: Path) -> None:
    first, log = begin(loaded(tmp_path), None)
    log.close()
    with pytest.raises(NoFleetError, match="Name the folder"):
        find(tmp_path)
    assert find(tmp_path / "fleet.toml").path == first.folder.path
    newer, log = begin(loaded(tmp_path), None)
    log.close()
    assert find(tmp_path / "fleet.toml").path == newer.folder.path != first.folder.path


@pytest.mark.parametrize(
    ("line", "text", "words"),
    [
        (1, b'{"record":"seen"}\n', "line 2: its sequence number is not 2"),
        (1, b"\xff\n", "line 2: it is not JSON"),
        (0, b"[]\n", "line 1: it is no record of a fleet"),
        (2, json.dumps({"record": "seen", "seq": 3, "at": "", "task": "a@old",
                        "state": "done"}).encode() + b"\n", "line 3: state"),
        (2, json.dumps({"record": "seen", "seq": 3, "at": "", "task": "x@y",
                        "state": "ended"}).encode() + b"\n", "names a task 'x@y'"),
        (2, b'{"record":"seen"' + b" " * 70_000 + b"\n", "line 3: it is too long"),
    ],
)  # fmt: skip
async def test_a_damaged_log_is_named(tmp_path: Path, line: int, text: bytes, words: str) -> None:
    with pytest.raises(FleetError):
        await go_on(tmp_path, FakeEngine(fails_after=3))
    log = tmp_path / "out" / "fleet.jsonl"
    lines = log.read_bytes().splitlines(keepends=True)
    lines[line] = text
    log.write_bytes(b"".join(lines))
    with pytest.raises(FleetLogError, match=words):
        reopen(find(tmp_path / "out"))


def test_a_fleet_keeps_the_files_that_it_began_with(tmp_path: Path) -> None:
    drive(tmp_path).log.close()
    (tmp_path / "out" / "plan.toml").write_text("controls = 2\n")
    with pytest.raises(FleetLogError, match=r"plan\.toml there is not the one"):
        reopen(find(tmp_path / "out"))
