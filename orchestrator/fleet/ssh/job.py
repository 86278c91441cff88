"""A task on its host, from whatever is there to its end."""

import inspect
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from orchestrator.errors import InfraError
from orchestrator.fleet.believed import believed, run_that_ended
from orchestrator.fleet.body import command
from orchestrator.fleet.executor import Seen, TaskState
from orchestrator.fleet.ssh import watch
from orchestrator.fleet.ssh.bring import BringError, bring
from orchestrator.fleet.ssh.connection import Connection, HostError
from orchestrator.fleet.ssh.install import install
from orchestrator.fleet.ssh.reply import (
    Facts,
    FailedThereError,
    Free,
    JobState,
    Made,
    Progress,
    Removed,
)
from orchestrator.fleet.ssh.setting import Setting
from orchestrator.fleet.ssh.upload import upload
from orchestrator.fleet.task import Task
from orchestrator.process.background import in_thread
from orchestrator.results.exit_code import ExitCode
from orchestrator.results.printable import one_line, printable

#: Seconds between two words on how far a run is.
EVERY_S = 20.0

#: Times that a run is begun again in one visit, because it ended without an end.
_MOST_AGAIN = 3

#: The exit code of a command that is not there.
_NOT_FOUND = 127

#: Names losttick's option in the message that another run has the host.
_BUSY = "--exclusive"


class NeedsKernelError(InfraError):
    """The host runs another kernel than the task's."""

    def __init__(self, facts: Facts) -> None:
        super().__init__(f"it runs {facts.release}")
        self.facts = facts


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of a task."""

    state: TaskState
    why: str = ""
    exit_code: int | None = None


_CANCELLED = Outcome(TaskState.CANCELLED, "it was cancelled")


class Job:
    """A task on its host. `run` is called again whenever the connection was lost."""

    def __init__(
        self,
        setting: Setting,
        task: Task,
        known: Seen | None,
        say: Callable[[TaskState, str], Awaitable[None]],
    ) -> None:
        """Begin nothing yet.

        Args:
            setting: of the fleet.
            task: to run.
            known: what was seen of it before. One that failed or was cancelled is begun again.
            say: is called with what is new.
        """
        self._setting, self._task, self._say = setting, task, say
        self._anew = known is not None and known.state in (TaskState.FAILED, TaskState.CANCELLED)
        self._again = 0

    async def run(self, connection: Connection, facts: Facts) -> Outcome:
        """Bring the task to its end, from wherever it stands on the host.

        Raises:
            NeedsKernelError: the host runs another kernel.
            HostError: the connection was lost, or the host can't be worked with.
            LosttickError: the task can't be brought to its end.
        """
        place = self._setting.job(facts, self._task)
        state = await connection.ask("state", JobState, job=place)
        while True:
            if state.running:
                self._anew = False
                state = await self._follow(connection, place)
            if (
                not self._anew
                and state.ended
                and (end := await self._end(connection, place, state))
            ):
                return end
            if not self._anew and state.begun and not state.ended:
                self._count(f"the run ended without a word ({state.last_words or 'killed?'})")
            boots = self._task.boots
            if boots is not None and boots.release != facts.release:
                raise NeedsKernelError(facts)
            state = await self._start(connection, facts, place)
            self._anew = False

    async def _follow(self, connection: Connection, place: str) -> JobState:
        """Say how far the run is until it has ended; return what it came to."""
        await self._say(TaskState.RUNNING, "")
        told, told_at = 0, float("-inf")
        async for each in connection.listen(
            "follow", Progress, JobState, answer_s=EVERY_S + 60, job=place, every_s=EVERY_S
        ):
            if isinstance(each, JobState):
                return each
            now = time.monotonic()
            if each.trials != told and now - told_at > EVERY_S / 2:  # whatever the host's pace is
                told, told_at = each.trials, now
                await self._say(TaskState.RUNNING, f"{told:,} loads so far")
        raise HostError("following the run: the connection was lost", later=True)

    async def _start(self, connection: Connection, facts: Facts, place: str) -> JobState:
        """Install losttick, bring the plan, and start the run so that it needs us no more."""
        setting = self._setting
        losttick = [setting.fleet.ssh.command]
        if setting.wheels:
            await self._say(TaskState.WAITING, "losttick is installed there")
            losttick = list(await install(connection, facts.folder, setting.wheels))
        await connection.ask("make", Made, job=place)
        await upload(connection, setting.folder.plan, f"{place}/plan.toml")
        words = command(self._task, losttick, plan=f"{place}/plan.toml", out=f"{place}/run")
        source = inspect.getsource(watch)
        return await connection.ask("start", JobState, job=place, command=words, source=source)

    async def _end(self, connection: Connection, place: str, state: JobState) -> Outcome | None:
        """Bring the run that ended; return what it came to, or None if it is begun again."""
        assert state.ended
        setting, task, code = self._setting, self._task, state.ended.code
        to = setting.folder.run(task.id)
        left_out = await bring(connection, place, to)
        output = setting.folder.output(task.id)
        try:
            with setting.folder.held(output.parent.name) as held:
                held.replace(output.name, printable(state.tail) + "\n")
        except OSError as error:
            raise BringError(f"writing {output}: {error.strerror}") from error
        said = state.last_words or one_line(state.ended.why) or f"exit code {code}"
        run = await in_thread(run_that_ended, to)
        if run is not None:
            code = believed(code, run)
            setting.kept.is_over(task.id, code, left_out)
            await connection.ask("remove", Removed, job=place)
            return Outcome(TaskState.ENDED, left_out, code)
        if state.cancelled:
            return _CANCELLED
        if code == ExitCode.INCONCLUSIVE and _BUSY in said:
            await self._say(
                TaskState.WAITING, "another run has the host: this one begins when that has ended"
            )
            await wait_until_free(connection)
            now = await connection.ask("state", JobState, job=place)
            return _CANCELLED if now.cancelled else None
        if code in (ExitCode.INTERRUPTED, ExitCode.INCONCLUSIVE) or code < 0:
            self._count(f"the run was ended there: {said}")
            await self._say(TaskState.WAITING, f"the run was ended there, and goes on: {said}")
            return None
        why = f"exit code {code}: {said}" if said[:9] != "exit code" else said
        if code == _NOT_FOUND and not setting.wheels:
            why += ". Name its losttick in [ssh] command, or a folder of wheels in [ssh] wheels"
        return Outcome(TaskState.FAILED, why, code)

    def _count(self, why: str) -> None:
        """Count that the run is begun again.

        Raises:
            FailedThereError: that was too often.
        """
        self._again += 1
        if self._again > _MOST_AGAIN:
            raise FailedThereError(f"{why}. It was begun {_MOST_AGAIN} times again")


async def wait_until_free(connection: Connection) -> None:
    """Wait until no run has the host.

    Raises:
        HostError: the connection was lost.
    """
    while True:
        reply = await connection.ask("free", Free, within_s=EVERY_S, answer_s=EVERY_S + 60)
        if reply.free:
            return
