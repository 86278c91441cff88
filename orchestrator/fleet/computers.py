"""The computers that the runs of a fleet ran on: kernels are compared within one."""

from collections.abc import Iterator, Mapping, Sequence

from orchestrator.fleet.read_run import Run
from orchestrator.fleet.task import Task

#: Digits of a machine's digest that a person is shown.
_DIGITS = 8


def computers(
    runs: Sequence[tuple[Task, Run]], nodes: Mapping[str, str]
) -> tuple[list[str], list[str]]:
    """Return the name of each run's computer, and what is odd about them.

    A host of the fleet file has its own name, unless its runs come from several machines, or its
    machine has the name of another host already. A node that an engine chose has the name that
    the engine calls it, or the digest of its machine.

    Args:
        runs: tasks with their runs.
        nodes: what the engine called a task's node, by the task's id.
    """
    names = [_name(task, run, nodes.get(task.id, "")) for task, run in runs]
    machines: dict[str, dict[str, None]] = {}
    for name, (_, run) in zip(names, runs, strict=True):
        if run.machine:
            machines.setdefault(name, {})[run.machine] = None
    first: dict[str, str] = {}
    for name, found in machines.items():
        if len(found) == 1:
            first.setdefault(next(iter(found)), name)
    done = []
    for name, (_, run) in zip(names, runs, strict=True):
        if len(machines.get(name, ())) > 1:
            done.append(f"{name} ({run.machine[:_DIGITS] or 'not known'})")
        else:
            done.append(first.get(run.machine, name))
    return done, list(_odd(machines, first))


def _name(task: Task, run: Run, node: str) -> str:
    return task.host if task.place else node or run.machine[:_DIGITS] or task.host


def _odd(machines: Mapping[str, Mapping[str, None]], first: Mapping[str, str]) -> Iterator[str]:
    for name, found in machines.items():
        if len(found) > 1:
            yield (
                f"The runs of {name} come from {len(found)} machines, so each machine is taken for "
                "a host of its own."
            )
        elif (same := first[next(iter(found))]) != name:
            yield f"{name} and {same} are one machine, and count as one host."
