"""No task has two jobs, whatever Slurm's commands answer, and an outage is told and waited out.

The commands are stand-ins here: a controller that takes a job and then does not answer can't be had
on demand. tests/e2e/test_fleet_slurm.py has the real ones.
"""

from collections.abc import Mapping
from pathlib import Path

import pytest

from orchestrator.fleet.executor import FleetError, Seen, TaskState
from orchestrator.fleet.fleet_file import FleetFile
from orchestrator.fleet.folder import FleetFolder
from orchestrator.fleet.slurm.executor import SlurmExecutor
from orchestrator.fleet.slurm.scripts import make_identity
from orchestrator.fleet.slurm.standing import job_number
from orchestrator.fleet.task import tasks
from tests.support.run_folders import make_run_folder

FILE = FleetFile.model_validate({"engine": "slurm", "hosts": [{"name": "node1"}]})

TASK = "node1@booted"

JOURNAL = f"fleet/runs/{TASK}/journal.jsonl"


class Peer:
    """Slurm's commands, which do what their scripts say."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.folder = FleetFolder(place / "fleet")
        self.identity = make_identity(self.folder)
        self.asked = 0

    def program(self, name: str, script: str) -> None:
        path = self.place / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f'#!/bin/sh\ncd {self.place}\necho "$*" >>{name}.calls\n{script}\n')
        path.chmod(0o755)

    def queue(self, *answers: str) -> None:
        """Let `squeue` give these answers in turn, and then the last one.

        With the last one, the journal of a run that was begun afresh is there.
        """
        for number, answer in enumerate(answers, 1):
            (self.place / f"answer{number}").write_text(answer)
        self.program(
            "squeue",
            f"n=$(wc -l <squeue.calls); [ $n -le {len(answers)} ] || n={len(answers)}\n"
            f"[ $n -lt {len(answers)} ] || [ ! -e kept ] || mv kept {JOURNAL}\n"
            'case $(cat answer$n) in down) echo "slurm_load_jobs error: Unable to contact slurm '
            'controller (connect failure)" >&2; exit 1 ;; *) cat answer$n ;; esac',
        )

    def calls(self, name: str) -> int:
        path = self.place / f"{name}.calls"
        return len(path.read_text().splitlines()) if path.exists() else 0

    def job(self, number: int, state: str, code: int = 0, reason: str = "None") -> str:
        name = f"losttick-{self.identity}-1"
        return f"{name}|{number}|N/A|{state}|{code << 8}|0|node1|{reason}|\n"

    async def follow(self, known: Mapping[str, Seen] | None = None) -> list[Seen]:
        engine = SlurmExecutor(FILE, poll_s=0.01)
        return [each async for each in engine.run(tasks(FILE), known or {}, self.folder)]


@pytest.fixture
def peer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Peer:
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:/usr/bin:/bin")
    made = Peer(tmp_path)
    made.program("sbatch", "echo 7")
    made.program("scontrol", 'echo "RequeueExit             = 130-200,9"')
    make_run_folder("affected", made.folder.run(TASK))
    return made


def fresh(peer: Peer) -> None:
    (peer.folder.run(TASK) / "journal.jsonl").rename(peer.place / "kept")


async def test_a_job_that_sbatch_took_without_saying_so_is_not_submitted_again(peer: Peer) -> None:
    fresh(peer)
    peer.program(
        "sbatch",
        'echo "sbatch: error: Socket timed out on send/recv operation" >&2; exit 1',
    )
    peer.queue("", peer.job(7, "RUNNING"), peer.job(7, "FAILED", 1))
    seen = await peer.follow()
    assert [each.state for each in seen] == [
        TaskState.WAITING, TaskState.RUNNING, TaskState.ENDED
    ]  # fmt: skip
    assert "took too long" in seen[0].why
    assert (seen[-1].handle, seen[-1].exit_code) == ("7", 1)
    assert peer.calls("sbatch") == 1


async def test_an_outage_is_told_and_waited_out(peer: Peer) -> None:
    fresh(peer)
    peer.queue(peer.job(7, "RUNNING"), "down", "down", peer.job(7, "FAILED", 1))
    seen = await peer.follow()
    assert [each.state for each in seen] == [
        TaskState.RUNNING, TaskState.RUNNING, TaskState.ENDED
    ]  # fmt: skip
    assert "Slurm's controller does not answer" in seen[1].why
    assert not peer.calls("sbatch")


async def test_a_first_question_without_an_answer_ends_it(peer: Peer) -> None:
    peer.queue("down")
    with pytest.raises(FleetError, match="Nothing was lost"):
        await peer.follow()


async def test_a_new_try_does_not_take_the_old_end_for_its_own(peer: Peer) -> None:
    fresh(peer)
    old = Seen(TASK, TaskState.FAILED, "its node died", "5")
    node_fail = peer.job(5, "NODE_FAIL")
    peer.queue(node_fail, node_fail + peer.job(7, "FAILED", 1))
    seen = await peer.follow({TASK: old})
    assert [(each.state, each.handle) for each in seen] == [
        (TaskState.WAITING, "7"), (TaskState.ENDED, "7")
    ]  # fmt: skip
    # A job that another process submitted meanwhile is found.
    peer.queue(node_fail + peer.job(6, "COMPLETED"))
    (seen,) = await peer.follow({TASK: old})
    assert (seen.state, seen.handle) == (TaskState.ENDED, "6")
    assert peer.calls("sbatch") == 1


async def test_what_slurm_forgot_is_not_run_again(peer: Peer) -> None:
    peer.queue("")
    (seen,) = await peer.follow({TASK: Seen(TASK, TaskState.RUNNING, handle="5")})
    assert (seen.state, seen.exit_code) == (TaskState.ENDED, 1)
    (seen,) = await peer.follow()
    assert seen.state is TaskState.ENDED
    assert not peer.calls("sbatch")


async def test_a_refused_job_fails_and_is_not_tried_for_ever(peer: Peer) -> None:
    (peer.place / JOURNAL).unlink()
    peer.queue("")
    peer.program("sbatch", 'echo "sbatch: error: Invalid feature specification" >&2; exit 1')
    (seen,) = await peer.follow()
    assert seen.state is TaskState.FAILED
    assert "Invalid feature specification" in seen.why
    assert peer.calls("sbatch") == 1
    assert (peer.folder.scripts / f"{TASK}.sh").read_text().startswith("#!/bin/sh\n#SBATCH ")


async def test_running_jobs_are_ended_by_a_signal_to_losttick_alone(peer: Peer) -> None:
    (peer.folder.run(TASK) / "journal.jsonl").unlink()
    peer.queue(peer.job(7, "RUNNING"), peer.job(7, "FAILED", 130))
    peer.program("scancel", "")
    (seen,) = await SlurmExecutor(FILE, poll_s=0.01).cancel(tasks(FILE), {}, peer.folder)
    assert seen.state is TaskState.CANCELLED
    assert (peer.place / "scancel.calls").read_text() == "--batch --signal=TERM 7\n"
    peer.queue("")
    (seen,) = await SlurmExecutor(FILE, poll_s=0.01).cancel(tasks(FILE), {}, peer.folder)
    assert (seen.state, seen.why) == (TaskState.CANCELLED, "it had no job yet")


async def test_a_cluster_that_would_repeat_findings_gets_no_job(peer: Peer) -> None:
    fresh(peer)
    peer.queue("")
    peer.program("scontrol", 'printf "A = 1\\nRequeueExitHold         = 2-5,7,9-\\n"')
    assert await peer.follow({TASK: Seen(TASK, TaskState.ENDED)}) == []
    with pytest.raises(FleetError, match="that ends with 3, 5"):
        await peer.follow()
    assert not peer.calls("sbatch")


async def test_the_end_of_a_run_is_seen_without_asking_slurm_again(peer: Peer) -> None:
    peer.queue(peer.job(7, "RUNNING"))
    engine = SlurmExecutor(FILE, poll_s=60)
    seen = [each async for each in engine.run(tasks(FILE), {}, peer.folder)]
    assert [each.state for each in seen] == [TaskState.RUNNING, TaskState.ENDED]
    assert (seen[-1].node, seen[-1].handle, seen[-1].exit_code) == ("node1", "7", 1)
    assert peer.calls("squeue") == 1


@pytest.mark.parametrize(
    "handle", ["", "7 jobs", "9" * 5000, "\u0667", "-1", "\x1b[31m7", "7" * 11]
)
def test_no_number_is_read_from_what_is_no_handle(handle: str) -> None:
    assert job_number(handle) == 0
