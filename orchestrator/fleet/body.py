"""The command that a host runs for a task, whatever engine brings it."""

from collections.abc import Sequence

from orchestrator.fleet.task import Task


def command(task: Task, losttick: Sequence[str], *, plan: str, out: str) -> list[str]:
    """Return the command of a task, as a list of words.

    It begins the run or resumes it, refuses another kernel than the task's as a failure of the
    harness, and refuses to run beside another run on the host.

    Args:
        task: what to run.
        losttick: the words that start losttick there.
        plan: the path of the plan on the host.
        out: the path of the run's folder on the host.
    """
    words = [*losttick, "run", "--plan", plan, "--out", out, "--resume-or-start", "--exclusive"]
    if task.boots is not None:
        words += ["--expect-kernel", task.boots.release]
    return words
