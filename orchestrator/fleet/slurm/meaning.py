"""The meaning of a job's state for its task."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from orchestrator.errors import LosttickError
from orchestrator.fleet.believed import JUDGED, believed
from orchestrator.fleet.executor import Seen, TaskState
from orchestrator.fleet.folder import FleetFolder
from orchestrator.fleet.slurm.queue import Job
from orchestrator.journal.file import JOURNAL, is_being_written
from orchestrator.results.exit_code import ExitCode, result_exit
from orchestrator.results.printable import printable
from orchestrator.results.result import read_result
from orchestrator.verdict.run import RunResult

#: Codes with which losttick ends only if it has run.
_FINDINGS = frozenset({ExitCode.CLEAN, ExitCode.AFFECTED, ExitCode.ANOMALOUS})

#: The codes of sh for a program that can't be started, and that isn't there.
_NO_PROGRAM = frozenset({126, 127})

#: Bytes at the end of an output that are read for its last words, and how many of them are shown.
_TAIL_BYTES = 16_000
_TAIL_SHOWN = 300

#: Reasons of waiting jobs that wait for a person.
_HELD = {
    "JobHeldUser": "it is held: `scontrol release {id}` lets it go",
    "JobHeldAdmin": "an administrator holds it",
    "BadConstraints": "no node has what it asks for any more: see its script",
    "PartitionDown": "its partition is down",
    "PartitionInactive": "its partition is inactive",
    "PartitionTimeLimit": "its time limit is longer than its partition's: see [slurm] hours",
    "DependencyNeverSatisfied": "what it waits for can't happen any more",
    "launch failed requeued held": "its node could not start it, so Slurm holds it: "
    "`scontrol release {id}` tries again",
    "JobHoldMaxRequeue": "Slurm holds it after too many restarts: `scontrol release {id}` tries "
    "again",
}

#: Reasons of failed jobs whose program did not say so.
_FAILED = {
    "TIMEOUT": "it ran out of time: see [slurm] hours",
    "DEADLINE": "it ran out of time: its deadline passed",
    "NODE_FAIL": "its node died",
    "BOOT_FAIL": "its node did not come back with the kernel within Slurm's BootTime and "
    "ResumeTimeout",
    "PREEMPTED": "another job took its node",
    "OUT_OF_MEMORY": "its node had no memory left",
    "REVOKED": "another cluster runs it",
}

_RESUMES = "`losttick fleet resume` goes on with it"


def meaning(task: str, job: Job, folder: FleetFolder) -> Seen:
    """Return what a job's state says of its task. This reads files of the run.

    Args:
        task: the id of the task.
        job: as the queue has it.
        folder: of the fleet.
    """
    if job.over:
        state, why, code = _over(task, job, folder)
    else:
        state, why = _alive(job)
        code = None
    return Seen(task, state, why, job.handle, _node(job), code)


def _node(job: Job) -> str:
    return printable(job.node)[:255]


def _alive(job: Job) -> tuple[TaskState, str]:
    match job.state:
        case "PENDING" | "REQUEUED" | "REQUEUE_HOLD" | "SPECIAL_EXIT" | "REQUEUE_FED":
            return TaskState.WAITING, _waits(job)
        case "CONFIGURING" | "POWER_UP_NODE":
            return TaskState.WAITING, "its node boots"
        case "RUNNING" | "COMPLETING" | "STAGE_OUT" | "SIGNALING":
            began = f"begun again {job.restarts} times" if job.restarts > 1 else "begun again"
            return TaskState.RUNNING, began if job.restarts else ""
        case _:
            words = printable(job.state).lower()[:40]
            return TaskState.RUNNING, f"Slurm calls it {words}"


def _waits(job: Job) -> str:
    """Return what a job that has not begun waits for."""
    again = "it begins again after its node failed or was taken: " if job.restarts else ""
    reason = printable(job.reason)
    for word, why in _HELD.items():
        if word.lower() in reason.lower():
            return again + why.format(id=job.handle)
    match reason.split(",")[0]:
        case "":
            return again + "Slurm has not looked at it yet"
        case "Resources" | "Priority":
            return again + "its host is busy"
        case "BeginTime":
            return again + "Slurm lets some minutes pass before"
        case "ReqNodeNotAvail" | "Nodes required for job are DOWN":
            return again + f"its host is not available ({reason})"
        case _:
            return again + f"Slurm's reason: {reason}"


def _over(task: str, job: Job, folder: FleetFolder) -> tuple[TaskState, str, int | None]:
    if job.state == "CANCELLED":
        return TaskState.CANCELLED, f"its job {job.handle} was cancelled. {_RESUMES}", None
    if job.reason == "JobLaunchFailure":
        where = folder.output(task)
        return (
            TaskState.FAILED,
            f"{_node(job) or 'its node'} could not open {where}: does it see this folder, may you "
            "write there, and is there room?",
            None,
        )
    if job.state not in ("COMPLETED", "FAILED"):
        why = _FAILED.get(job.state, f"Slurm calls it {printable(job.state).lower()}")
        return TaskState.FAILED, f"{why}. {_RESUMES}", None
    if job.signal:
        why = f"signal {job.signal} killed losttick"
        return TaskState.FAILED, f"{why}{_last_words(task, folder)}. {_RESUMES}", None
    return ended_with(task, job.exit_code, folder)


def ended_with(task: str, code: int, folder: FleetFolder) -> tuple[TaskState, str, int | None]:
    """Return state, reason and exit code of a task whose losttick ended with a code."""
    ended = run_of(task, folder)
    if code in JUDGED or code == ExitCode.HARNESS:
        if ended is not None and ended.interrupted is None:
            return TaskState.ENDED, "", believed(code, ended)
        if code == ExitCode.UNFIT and ended is None:  # nothing was fit: there is no journal
            return TaskState.ENDED, _words(task, folder), code
        if code in _FINDINGS:
            why = (
                f"losttick ended with {code} there, but {folder.run(task)} has no run that came "
                "to its end: is this folder the one that the node sees?"
            )
            return TaskState.FAILED, f"{why}{_last_words(task, folder)}", code
    if code == ExitCode.INTERRUPTED:
        return TaskState.FAILED, f"SIGTERM ended it before its end. {_RESUMES}", code
    if code in _NO_PROGRAM:
        why = "its node could not start losttick: see [slurm] command"
        return TaskState.FAILED, f"{why}{_last_words(task, folder)}", code
    return TaskState.FAILED, f"losttick ended with {code}{_last_words(task, folder)}", code


def run_of(task: str, folder: FleetFolder) -> RunResult | None:
    """Return the run of a task as its journal has it; None if there is none to be read."""
    try:
        return read_result(folder.run(task))
    except LosttickError:
        return None


def has_journal(task: str, folder: FleetFolder) -> bool:
    """Return whether the run of a task has begun to write its journal."""
    return (folder.run(task) / JOURNAL).exists()


def ended_meanwhile(running: Sequence[Seen], folder: FleetFolder) -> list[Seen]:
    """Return the running tasks whose journals have their ends, and nobody writes them any more."""
    return [
        replace(forgotten(each.task, each.handle, folder), node=each.node)
        for each in running
        if _has_verdict(folder.run(each.task) / JOURNAL)
    ]


def _has_verdict(journal: Path) -> bool:
    """Return whether the last record of a journal is the run's verdict. It reads only the end."""
    try:
        with journal.open("rb") as file:
            file.seek(max(0, journal.stat().st_size - _TAIL_BYTES))
            lines = file.read(_TAIL_BYTES).split(b"\n")
        return (
            len(lines) > 1
            and lines[-1] == b""
            and lines[-2].startswith(b'{"record":"verdict"')
            and not is_being_written(journal)
        )
    except (OSError, LosttickError):
        return False


def forgotten(task: str, handle: str, folder: FleetFolder) -> Seen:
    """Return what the run's own journal says of a task whose job Slurm knows no more.

    Args:
        task: the id of the task.
        handle: what Slurm called the job; empty if that is not known either.
        folder: of the fleet.
    """
    ended = run_of(task, folder)
    if ended is not None and ended.interrupted is None:
        return Seen(task, TaskState.ENDED, "", handle, exit_code=result_exit(ended.ends))
    return Seen(
        task, TaskState.FAILED,
        f"Slurm knows its job {handle} no more, and the run did not come to its end"
        f"{_last_words(task, folder)}. {_RESUMES}",
        handle,
    )  # fmt: skip


def _last_words(task: str, folder: FleetFolder) -> str:
    words = _words(task, folder)
    return f": {words.rstrip('.')}" if words else ""


def _words(task: str, folder: FleetFolder) -> str:
    """Return the end of what losttick and Slurm printed for a task, in one line."""
    lines = [line for line in map(str.strip, _tail(folder.output(task))) if line]
    words = printable(" ".join(lines[-3:]))
    return words if len(words) <= _TAIL_SHOWN else f"…{words[-_TAIL_SHOWN:]}"


def _tail(path: Path) -> Sequence[str]:
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _TAIL_BYTES))
            return file.read(_TAIL_BYTES).decode(errors="replace").splitlines()
    except OSError:
        return ()
