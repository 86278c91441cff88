"""The work on one host: its tasks one after another, whatever becomes of the connection."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import TypeVar

from orchestrator.errors import LosttickError, own_fault
from orchestrator.fleet.executor import Seen, TaskState
from orchestrator.fleet.fleet_file import Host
from orchestrator.fleet.ssh import boot
from orchestrator.fleet.ssh.connection import Connection, HostError, connect
from orchestrator.fleet.ssh.job import Job, NeedsKernelError, Outcome
from orchestrator.fleet.ssh.reply import Facts
from orchestrator.fleet.ssh.setting import Setting
from orchestrator.fleet.task import Task

#: Seconds by which the clocks of a host and of this computer may differ.
MOST_SKEW_S = 5.0

#: Seconds before another try to reach a host; the last is repeated.
_PAUSES_S = (2, 5, 10, 30)

#: Tries to reach a host on which nothing of ours runs.
_FIRST_TRIES = 2

#: Times that a host is booted for a task.
_MOST_BOOTS = 2

T = TypeVar("T")


class Visit:
    """The work on one host."""

    def __init__(
        self,
        setting: Setting,
        host: Host,
        known: Mapping[str, Seen],
        tell: Callable[[Seen], Awaitable[None]],
    ) -> None:
        """Begin nothing yet.

        Args:
            setting: of the fleet.
            host: to work on.
            known: what was seen of tasks before, by id.
            tell: is called with what is new of a task.
        """
        self._setting, self._host, self._known, self._tell = setting, host, known, tell
        self._heard = time.monotonic()
        """The time at which the host answered last."""
        self._reached = False
        """True once the host has answered."""
        self._notes = ""
        """A fault of the host that ends nothing."""
        self._running: set[str] = set()
        """Ids of tasks whose runs go on."""

    async def run(self, tasks: Sequence[Task]) -> None:
        """Bring tasks to their ends. What goes wrong is told, and never raised."""
        left: list[Task] = []
        last: Seen | None = None
        told = True
        for task in tasks:
            if seen := self._over(task):
                await self._tell(seen)
                last = seen
            else:
                left.append(task)
        while left:
            try:
                task = left[await self._next(left)]
                last, told = await self._to_end(task), False
                left.remove(task)
            except Exception as error:
                why = self._words(error)
                for each in left:
                    await self._say(each, TaskState.FAILED, why)
                return
            if left:
                await self._tell(last)
        if last is not None and self._setting.kept.home(self._host.name):
            last, told = await self._home(tasks, last), False
        if last is not None and not told:
            await self._tell(last)

    def _over(self, task: Task) -> Seen | None:
        """Return how a task ended whose run was brought before, or that can't be run."""
        if over := self._setting.kept.over(task.id):
            return self._seen(task, TaskState.ENDED, over[1], exit_code=over[0])
        return self._seen(task, TaskState.FAILED, task.why_not) if task.why_not else None

    async def _next(self, left: Sequence[Task]) -> int:
        """Return the number of the task that needs no boot, else of the first."""
        if len(left) == 1 or not any(task.boots for task in left):
            return 0
        facts = await self._asked(left[0], lambda connection, facts: _itself(facts))
        fits = [
            n for n, task in enumerate(left) if task.boots and task.boots.release == facts.release
        ]
        return fits[0] if fits else 0

    async def _home(self, tasks: Iterable[Task], last: Seen) -> Seen:
        """Boot the host into the kernel that it had; return what to tell of the last task."""
        by_id = {task.id: task for task in tasks}

        async def say(why: str) -> None:
            await self._say(by_id[last.task], TaskState.RUNNING, f"its run is over; {why}")

        try:
            trouble = await boot.boot_home(self._setting, self._host, say)
        except Exception as error:
            trouble = self._words(error)
        why = "; ".join(filter(None, [last.why, trouble]))
        return Seen(last.task, last.state, why, last.handle, last.node, last.exit_code)

    async def _to_end(self, task: Task) -> Seen:
        """Bring a task to its end, and return how it ended.

        Raises:
            HostError: the host can't be worked with any more.
        """

        async def say(state: TaskState, why: str) -> None:
            (self._running.add if state is TaskState.RUNNING else self._running.discard)(task.id)
            await self._say(task, state, why)

        job = Job(self._setting, task, self._known.get(task.id), say)
        for _ in range(_MOST_BOOTS + 1):
            try:
                outcome = await self._asked(task, job.run)
                break
            except NeedsKernelError as needs:
                why = await self._boot(task, needs)
            except HostError:
                raise
            except LosttickError as error:
                why = str(error)
            if why:
                outcome = Outcome(TaskState.FAILED, why)
                break
        else:
            assert task.boots
            outcome = Outcome(
                TaskState.FAILED,
                f"{self._host.name} was booted {_MOST_BOOTS} times into the entry "
                f"{task.boots.boot_entry}, and does not run {task.boots.release}",
            )
        why = "; ".join(filter(None, [outcome.why, self._notes]))
        return self._seen(task, outcome.state, why, outcome.exit_code)

    async def _boot(self, task: Task, needs: NeedsKernelError) -> str:
        """Boot the host into a task's kernel; return why it does not run, if it does not.

        Raises:
            HostError: the host does not come back.
        """
        assert task.boots
        wanted, entry, name = task.boots.release, task.boots.boot_entry, self._host.name
        runs = f"{name} runs {needs.facts.release}, not {wanted}"
        if not self._setting.allow_reboot:
            return f"{runs}. Boot it, or allow losttick to do so by --allow-reboot"
        if entry is None:
            return f"{runs}, and the fleet file has no boot_entry for that kernel"

        async def say(why: str) -> None:
            await self._say(task, TaskState.WAITING, why)

        try:
            facts = await boot.boot(self._setting, self._host, needs.facts, entry, say)
        except HostError:
            raise
        except LosttickError as error:
            return f"{runs}. {error}"
        self._heard = time.monotonic()
        if facts.release != wanted:
            return (
                f"{name} was booted into the entry {entry}, and runs {facts.release}, not "
                f"{wanted}: see its /boot/grub/grub.cfg, and its console: a kernel that panics "
                "comes back as the default one"
            )
        return ""

    async def _asked(self, task: Task, work: Callable[[Connection, Facts], Awaitable[T]]) -> T:
        """Do some work on the host, and connect again whenever the connection is lost.

        Raises:
            HostError: the host can't be worked with, or has not answered for too long.
            LosttickError: of the work.
        """
        tries = 0
        while True:
            try:
                async with connect(self._setting.address(self._host)) as connection:
                    begun = time.time()
                    facts = await connection.ask(
                        "facts", Facts, folder=self._setting.fleet.ssh.folder
                    )
                    self._notes = notes_on(self._host.name, facts, begun, time.time())
                    self._heard, self._reached, tries = time.monotonic(), True, 0
                    try:
                        return await work(connection, facts)
                    finally:
                        self._heard = time.monotonic()
            except HostError as error:
                tries += 1
                silent = time.monotonic() - self._heard
                if not error.later or (tries >= _FIRST_TRIES and silent > self._patience_s(task)):
                    raise
                await self._say(task, self._state_of(task), f"{error}; it is tried again")
            await asyncio.sleep(_PAUSES_S[min(tries, len(_PAUSES_S)) - 1])

    def _patience_s(self, task: Task) -> float:
        """Return how long the host may be silent: as long as a boot takes, if it may be booting."""
        known = self._known.get(task.id)
        runs = known is not None and known.state is TaskState.RUNNING
        if self._reached or runs or self._setting.kept.home(self._host.name):
            return self._setting.fleet.ssh.boot_s
        return 0

    def _words(self, error: Exception) -> str:
        if isinstance(error, LosttickError):
            return str(error)
        return own_fault(f"working on {self._host.name}", error)

    def _state_of(self, task: Task) -> TaskState:
        """Return where a task stands while its host is silent."""
        return TaskState.RUNNING if task.id in self._running else TaskState.WAITING

    async def _say(
        self, task: Task, state: TaskState, why: str = "", exit_code: int | None = None
    ) -> None:
        await self._tell(self._seen(task, state, why, exit_code))

    def _seen(self, task: Task, state: TaskState, why: str, exit_code: int | None = None) -> Seen:
        return Seen(
            task.id, state, why, handle=f"{self._setting.kept.id}/{task.id}",
            node=self._setting.address(self._host).name, exit_code=exit_code,
        )  # fmt: skip


async def _itself(facts: Facts) -> Facts:
    return facts


def notes_on(host: str, facts: Facts, asked_at: float, answered_at: float) -> str:
    """Return words on what is wrong with a host, and ends nothing.

    Args:
        host: its name.
        facts: what it answered.
        asked_at: when it was asked, by this computer's clock.
        answered_at: when its answer was there.
    """
    notes = []
    ahead = facts.time - (asked_at + answered_at) / 2
    if abs(ahead) > MOST_SKEW_S + (answered_at - asked_at) / 2:
        side = "ahead of" if ahead > 0 else "behind"
        notes.append(f"the clock of {host} is {abs(ahead):,.0f} s {side} this computer's")
    if facts.kills_at_logout:
        notes.append(
            f"{host} ends a run when the connection is lost (KillUserProcesses): run "
            "`loginctl enable-linger` there"
        )
    return "; ".join(notes)
