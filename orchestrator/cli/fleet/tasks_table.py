"""The tasks of a fleet, as a table and as plain data."""

from collections.abc import Mapping
from typing import Any

from orchestrator.cli.screen import Screen
from orchestrator.cli.table import Table
from orchestrator.cli.text import Styled
from orchestrator.fleet.begin import OpenFleet
from orchestrator.fleet.drive import states
from orchestrator.fleet.executor import Seen, TaskState
from orchestrator.fleet.task import Task

_STYLES = {
    TaskState.RUNNING: "bold",
    TaskState.ENDED: "green",
    TaskState.FAILED: "red",
    TaskState.CANCELLED: "yellow",
}


def print_tasks(screen: Screen, fleet: OpenFleet, known: Mapping[str, Seen]) -> None:
    """Print where every task stands, and how many are in which state."""
    table = Table(("task", "state", "node", "what is known"))
    for task in fleet.tasks:
        seen = known.get(task.id)
        state = _state(task, seen)
        style = _STYLES.get(seen.state, "") if seen else "yellow" if task.why_not else ""
        table.add(task.id, Styled(state, style), seen.node if seen else "", _said(task, seen))
    screen.table(table)
    screen.space()
    screen.prose(summary_line(fleet, known))


def summary_line(fleet: OpenFleet, known: Mapping[str, Seen]) -> str:
    """Return how many tasks are in which state, in words."""
    counts = states(fleet, known)
    words = [f"{counts[state]:,} {state}" for state in TaskState if counts.get(state)]
    if cannot := len(fleet.tasks) - len(fleet.can_run):
        words.append(f"{cannot:,} can't be run")
    return f"{len(fleet.tasks):,} tasks: {', '.join(words)}."


def described(fleet: OpenFleet, known: Mapping[str, Seen]) -> dict[str, Any]:
    """Return where every task stands as plain data."""
    return {
        "folder": str(fleet.folder.path),
        "states": {state.value: count for state, count in states(fleet, known).items()},
        "tasks": [_described(task, known.get(task.id)) for task in fleet.tasks],
    }


def _described(task: Task, seen: Seen | None) -> dict[str, Any]:
    return {
        "task": task.id,
        "host": task.host,
        "kernel": task.kernel,
        "release": task.boots.release if task.boots else None,
        "state": _state(task, seen),
        "why": (seen.why if seen else task.why_not) or None,
        "node": seen.node if seen else None,
        "handle": seen.handle if seen else None,
        "exit_code": seen.exit_code if seen else None,
    }


def _state(task: Task, seen: Seen | None) -> str:
    if task.why_not:
        return "can't be run"
    return str(seen.state) if seen else str(TaskState.WAITING)


def _said(task: Task, seen: Seen | None) -> str:
    if seen is None:
        return task.why_not
    code = "" if seen.exit_code is None else f"exit code {seen.exit_code}"
    return ": ".join(filter(None, (code, seen.why)))
