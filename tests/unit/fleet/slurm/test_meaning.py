"""Jobs of Slurm: findings are ends, and ends are believed from journals."""

from pathlib import Path

import pytest

from orchestrator.fleet.executor import Seen, TaskState
from orchestrator.fleet.folder import FleetFolder
from orchestrator.fleet.slurm.meaning import forgotten, meaning
from orchestrator.fleet.slurm.queue import Job
from tests.support.run_folders import make_run_folder

TASK = "node1@k61"


def job(state: str, code: int = 0, reason: str = "", restarts: int = 0, signal: int = 0) -> Job:
    return Job(1, 0, 12, state, code, signal, restarts, "node1", reason)


def seen(folder: Path, state: str, code: int = 0, reason: str = "", **more: int) -> Seen:
    return meaning(TASK, job(state, code, reason, **more), FleetFolder(folder))


def say(folder: Path, words: str) -> None:
    output = FleetFolder(folder).output(TASK)
    output.parent.mkdir(exist_ok=True)
    output.write_text(words)


@pytest.mark.parametrize(("code", "believed"), [(1, 1), (0, 1), (3, 1), (5, 1), (6, 1), (4, 4)])
def test_a_finding_is_an_end_and_its_journal_says_which(
    tmp_path: Path, code: int, believed: int
) -> None:
    make_run_folder("affected", FleetFolder(tmp_path).run(TASK))
    assert seen(tmp_path, "FAILED", code, "NonZeroExitCode") == Seen(
        TASK, TaskState.ENDED, "", "12", "node1", believed
    )


@pytest.mark.parametrize("code", [0, 1, 5, 6])
def test_no_end_is_believed_without_its_journal(tmp_path: Path, code: int) -> None:
    now = seen(tmp_path, "FAILED" if code else "COMPLETED", code)
    assert now.state is TaskState.FAILED
    words = "losttick ended with 6" if code == 6 else "is this folder the one that the node sees?"
    assert words in now.why
    make_run_folder("interrupted", FleetFolder(tmp_path).run(TASK))
    assert seen(tmp_path, "COMPLETED", code).state is TaskState.FAILED


def test_another_kernel_is_a_failure_in_losttick_s_words(tmp_path: Path) -> None:
    say(tmp_path, "\x1b[31merror: this host runs 6.1.0\x1b[0m, not 6.5.0\n" * 3)
    now = seen(tmp_path, "FAILED", 4, "NonZeroExitCode")
    assert (now.state, now.exit_code) == (TaskState.FAILED, 4)
    assert "not 6.5.0" in now.why
    assert now.why.isprintable()
    say(tmp_path, "x" * 1_000_000)
    assert len(seen(tmp_path, "FAILED", 4).why) < 400


@pytest.mark.parametrize(
    ("state", "code", "reason", "expected", "words"),
    [
        ("FAILED", 130, "NonZeroExitCode", TaskState.FAILED, "SIGTERM ended it before its end"),
        ("FAILED", 127, "NonZeroExitCode", TaskState.FAILED, "see [slurm] command"),
        ("FAILED", 0, "JobLaunchFailure", TaskState.FAILED, "node1 could not open"),
        ("TIMEOUT", 0, "TimeLimit", TaskState.FAILED, "out of time: see [slurm] hours"),
        ("NODE_FAIL", 0, "", TaskState.FAILED, "its node died"),
        ("BOOT_FAIL", 0, "", TaskState.FAILED, "did not come back with the kernel"),
        ("CANCELLED", 0, "", TaskState.CANCELLED, "was cancelled"),
        ("PENDING", 0, "JobHeldUser", TaskState.WAITING, "`scontrol release 12`"),
        ("PENDING", 0, "launch failed requeued held", TaskState.WAITING, "could not start it"),
        ("PENDING", 0, "BeginTime", TaskState.WAITING, "some minutes"),
        ("PENDING", 0, "Resources", TaskState.WAITING, "its host is busy"),
        ("PENDING", 0, "ReqNodeNotAvail, UnavailableNodes:node1", TaskState.WAITING, "node1"),
        ("CONFIGURING", 0, "", TaskState.WAITING, "its node boots"),
        ("COMPLETING", 1, "", TaskState.RUNNING, ""),
        ("RUNNING", 0, "", TaskState.RUNNING, ""),
        ("SOMETHING_NEW", 0, "", TaskState.RUNNING, "Slurm calls it something_new"),
    ],
)
def test_each_state_has_its_words(
    tmp_path: Path, state: str, code: int, reason: str, expected: TaskState, words: str
) -> None:
    now = seen(tmp_path, state, code, reason)
    assert now.state is expected
    assert words in now.why


def test_restarts_and_signals_are_told(tmp_path: Path) -> None:
    assert "node failed or was taken" in seen(tmp_path, "PENDING", restarts=1).why
    assert seen(tmp_path, "RUNNING", restarts=2).why == "begun again 2 times"
    assert "signal 9 killed losttick" in seen(tmp_path, "FAILED", signal=9).why


def test_the_journal_says_what_slurm_forgot(tmp_path: Path) -> None:
    folder = FleetFolder(tmp_path)
    assert forgotten(TASK, "12", folder).state is TaskState.FAILED
    make_run_folder("interrupted", folder.run(TASK))
    assert "did not come to its end" in forgotten(TASK, "12", folder).why
    make_run_folder("affected", folder.run(TASK))
    assert forgotten(TASK, "12", folder) == Seen(TASK, TaskState.ENDED, "", "12", exit_code=1)
    (folder.run(TASK) / "journal.jsonl").write_bytes(b"\x00" * 100)
    assert forgotten(TASK, "12", folder).state is TaskState.FAILED
