"""Looks at tasks on their hosts, and ends them."""

import dataclasses

from orchestrator.fleet.executor import Seen, TaskState
from orchestrator.fleet.fleet_file import Host
from orchestrator.fleet.ssh.connection import connect
from orchestrator.fleet.ssh.reply import Facts, JobState
from orchestrator.fleet.ssh.setting import Setting
from orchestrator.fleet.task import Task

#: Seconds that a run may take to end.
_ENDS_S = 60


async def look(setting: Setting, host: Host, task: Task, before: Seen) -> Seen:
    """Return where a task stands.

    Raises:
        LosttickError: the host can't be asked.
    """
    return await _asked(setting, host, task, before, "state")


async def cancel(setting: Setting, host: Host, task: Task, before: Seen) -> Seen:
    """End a task, and return where it stands.

    Raises:
        LosttickError: the host can't be asked.
    """
    if setting.kept.over(task.id):
        return await look(setting, host, task, before)
    return await _asked(setting, host, task, before, "cancel", within_s=_ENDS_S)


def unknown(before: Seen, why: str) -> Seen:
    """Return what was known of a task, with why no more is."""
    return dataclasses.replace(before, why=why)


async def _asked(
    setting: Setting, host: Host, task: Task, before: Seen, verb: str, **words: float
) -> Seen:
    if over := setting.kept.over(task.id):
        return dataclasses.replace(before, state=TaskState.ENDED, exit_code=over[0], why=over[1])
    async with connect(setting.address(host)) as connection:
        facts = await connection.ask("facts", Facts, folder=setting.fleet.ssh.folder)
        place = setting.job(facts, task)
        state = await connection.ask(verb, JobState, answer_s=60 + _ENDS_S, job=place, **words)
    if state.running:
        return dataclasses.replace(before, state=TaskState.RUNNING, why="")
    if verb == "cancel" or state.cancelled:
        return dataclasses.replace(before, state=TaskState.CANCELLED, why="it was cancelled")
    if state.ended and not before.state.over:
        why = "the run has ended, and waits to be brought by `losttick fleet resume`"
        return dataclasses.replace(before, state=TaskState.RUNNING, why=why)
    return before
