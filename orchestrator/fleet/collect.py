"""Brings the runs of a fleet together: into the history, a table, and one answer."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from orchestrator.errors import LosttickError
from orchestrator.fleet.answer import FleetAnswer, answer
from orchestrator.fleet.computers import computers
from orchestrator.fleet.folder import FleetFolder
from orchestrator.fleet.read_run import Fault, Job, Run, Trouble, identity_of
from orchestrator.fleet.readers import read_all
from orchestrator.fleet.task import BOOTED, Task
from orchestrator.fleet.tested import Tested
from orchestrator.results.exit_code import ExitCode
from orchestrator.results.history.entry import About, Entry, checked_name
from orchestrator.results.history.place import HistoryError

#: Runs that are added to the history in one transaction.
_BATCH = 50


@dataclass(frozen=True, slots=True)
class Brought:
    """A task, and what became of it."""

    task: Task
    run: Run | None = None
    fault: Fault | None = None
    """The reason why there is no result; None if there is one."""
    computer: str = ""
    """The host on which it ran."""

    @property
    def code(self) -> ExitCode:
        """Its exit code."""
        if self.fault is not None:
            return self.fault.code
        assert self.run is not None
        # A run that was cut short is not all that was asked for, whatever it found until then.
        short = self.run.unfinished and self.run.code is ExitCode.CLEAN
        return ExitCode.INCONCLUSIVE if short else self.run.code


@dataclass(frozen=True, slots=True)
class Collected:
    """All that is known of a fleet's runs."""

    folder: FleetFolder
    brought: tuple[Brought, ...]
    """Each task of the fleet, in its order."""
    answer: FleetAnswer
    notes: tuple[str, ...] = ()
    """The facts of hosts and history that reading a run needs."""
    added: int = 0
    """Runs that are new in the history."""
    again: int = 0
    """Runs that the history had already."""
    trials: int = 0
    kept: bool = True
    """False if runs could not be added to the history."""

    @property
    def codes(self) -> list[ExitCode]:
        """The exit code of each task."""
        return [each.code for each in self.brought] + ([] if self.kept else [ExitCode.HARNESS])


@dataclass(slots=True)
class _Keeper:
    """Adds runs to the history, some at a time."""

    history: Any
    waiting: list[Entry] = field(default_factory=list)
    added: int = 0
    again: int = 0
    trouble: str = ""

    def add(self, entry: Entry) -> None:
        if self.history is None or self.trouble:
            return
        self.waiting.append(entry)
        if len(self.waiting) >= _BATCH:
            self.flush()

    def flush(self) -> None:
        try:
            found = self.history.add_all(self.waiting) if self.waiting else []
        except LosttickError as error:
            self.trouble = (
                f"{error} The table stands; `losttick fleet collect` adds the runs later."
            )
            return
        self.waiting.clear()
        self.added += sum(new for _, new in found)
        self.again += sum(not new for _, new in found)


def collect(
    folder: FleetFolder,
    tasks: Sequence[Task],
    *,
    labels: Sequence[str] = (),
    nodes: Mapping[str, str] | None = None,
    whys: Mapping[str, str] | None = None,
    history: Any = None,
    seen: Callable[[int], None] = lambda done: None,
) -> Collected:
    """Read the runs of a fleet, add them to the history, and answer.

    A run that is missing, damaged, or ran under another kernel is a fault of its task; the others
    are read all the same.

    Args:
        folder: of the fleet.
        tasks: of the fleet.
        labels: of its runs in the history.
        nodes: what the engine called a task's host, by the task's id.
        whys: what the engine said of a task, by its id, for tasks without a run.
        history: the open history; None to add nothing.
        seen: is called with the number of tasks that are done.
    """
    nodes, whys = nodes or {}, whys or {}
    can_run = [task for task in tasks if not task.why_not]
    by_task = _twice(folder, can_run)
    left = [task for task in can_run if task.id not in by_task]
    jobs = [_job(folder, task, labels, nodes.get(task.id, "")) for task in left]
    keeper, trials = _Keeper(history), 0
    for number, (task, found) in enumerate(zip(left, read_all(jobs), strict=True), 1):
        if isinstance(found, Fault):
            by_task[task.id] = Brought(task, fault=_explained(found, whys.get(task.id, "")))
        else:
            run, entry = found
            by_task[task.id] = Brought(task, run)
            keeper.add(entry)
            trials += entry.trials
        seen(number)
    keeper.flush()
    lacking = {
        task.id: Brought(task, fault=Fault(Trouble.LACKS, task.why_not))
        for task in tasks
        if task.why_not
    }
    brought, odd = _placed([(by_task | lacking)[task.id] for task in tasks], nodes)
    kernels = list(dict.fromkeys(task.kernel for task in tasks))
    notes = (*odd, *([keeper.trouble] if keeper.trouble else []))
    return Collected(
        folder, tuple(brought), answer(_tested(brought), kernels), notes, keeper.added,
        keeper.again, trials, kept=not keeper.trouble,
    )  # fmt: skip


def _twice(folder: FleetFolder, tasks: Sequence[Task]) -> dict[str, Brought]:
    """Return the tasks whose folders have the same run: nothing tells whose it is."""
    by_identity: dict[str, list[Task]] = {}
    for task in tasks:
        if identity := identity_of(folder.run(task.id)):
            by_identity.setdefault(identity, []).append(task)
    found = {}
    for same in by_identity.values():
        for task in same if len(same) > 1 else ():
            others = ", ".join(each.id for each in same if each is not task)
            why = f"it is the same run as that of {others}, and nothing tells whose it is"
            found[task.id] = Brought(task, fault=Fault(Trouble.TWICE, why))
    return found


def _job(folder: FleetFolder, task: Task, labels: Sequence[str], node: str) -> Job:
    named = (*labels, *([task.kernel] if task.kernel != BOOTED else []))
    about = About(tuple(filter(_is_name, named)), next(filter(_is_name, _hosts(task, node)), ""))
    return Job(folder.run(task.id), task.boots.release if task.boots else None, about)


def _hosts(task: Task, node: str) -> Sequence[str]:
    """Return names for the host of a task. The history knows others by their machine."""
    return (task.host,) if task.place else (node,)


def _is_name(text: str) -> bool:
    try:
        return checked_name(text, "label") == text
    except HistoryError:
        return False


def _explained(fault: Fault, why: str) -> Fault:
    if fault.trouble is not Trouble.MISSING or not why:
        return fault
    return replace(fault, why=f"{fault.why} ({why})")


def _placed(
    brought: Sequence[Brought], nodes: Mapping[str, str]
) -> tuple[list[Brought], list[str]]:  # fmt: skip
    """Return tasks with the hosts that they ran on, and what is odd about hosts."""
    ran = [(each.task, each.run) for each in brought if each.run and not each.fault]
    names, odd = computers(ran, nodes)
    by_task = {task.id: name for (task, _), name in zip(ran, names, strict=True)}
    return [replace(each, computer=by_task.get(each.task.id, "")) for each in brought], odd


def _tested(brought: Sequence[Brought]) -> Iterator[Tested]:
    """Yield what each host tested; two runs of a host under one kernel are one."""
    found: dict[tuple[str, str, str], Tested] = {}
    for each in brought:
        if each.run is None or each.fault:
            continue
        for cell in each.run.cells:
            if not cell.trials:
                continue
            key = (each.computer, each.task.kernel, cell.id)
            now = Tested(
                *key, cell.trials, cell.lost, cell.unresolved, cell.saves, cell.rule_out, cell.blind
            )
            before = found.get(key)
            found[key] = _joined(before, now) if before else now
    yield from found.values()


def _joined(before: Tested, now: Tested) -> Tested:
    return replace(
        before, trials=before.trials + now.trials, lost=before.lost + now.lost,
        unresolved=before.unresolved + now.unresolved, saves=(*before.saves, *now.saves),
        rule_out=min(before.rule_out, now.rule_out), blind=before.blind or now.blind,
    )  # fmt: skip
