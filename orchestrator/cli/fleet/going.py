"""A fleet on the command line: its progress, and what is said when it is left alone."""

import contextlib
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
from pathlib import Path

from orchestrator.cli.exits import ExitCode
from orchestrator.cli.fleet.tasks_table import described, print_tasks, summary_line
from orchestrator.cli.live import Show
from orchestrator.cli.screen import Screen
from orchestrator.cli.service import service
from orchestrator.cli.text import print_json, say
from orchestrator.fleet.begin import OpenFleet, find, reopen
from orchestrator.fleet.drive import Drive, fleet_exit
from orchestrator.fleet.engines import open_engine
from orchestrator.fleet.executor import Executor, FleetError, Seen, TaskState
from orchestrator.fleet.log import BusyFleetError, FleetWriter
from orchestrator.process.background import in_thread


class Watch:
    """Shows what is new of each task, and how many have come to their ends."""

    def __init__(self, show: Show, progress: Callable[[int, int], None]) -> None:
        self._show, self._progress = show, progress

    def seen(self, seen: Seen, states: Mapping[TaskState, int]) -> None:
        """Print what is new of a task."""
        on = f" on {seen.node}" if seen.node else ""
        code = "" if seen.exit_code is None else f" with exit code {seen.exit_code}"
        why = f": {seen.why}" if seen.why else ""
        self._show.say(f"{seen.task}: {seen.state}{on}{code}{why}")
        over = sum(count for state, count in states.items() if state.over)
        total = sum(states.values())
        self._progress(over, total)
        service().status(f"{over} of {total} tasks done; {seen.task}: {seen.state}")


async def go_on(
    driven: Drive, *, kernels: Collection[str], allow_reboot: bool, as_json: bool
) -> ExitCode:
    """Drive a fleet to its end and print it; return its exit code. Its log is closed then.

    Args:
        driven: the fleet.
        kernels: only the tasks under these; none for all.
        allow_reboot: whether hosts may be booted into the kernels of the fleet.
        as_json: whether to print one JSON object.
    """
    fleet, folder = driven.fleet, driven.fleet.folder.path
    assert driven.log is not None
    with driven.log, Show(0.95) as show, show.bar(f"the fleet in {folder}") as progress:
        try:
            engine = open_engine(fleet.loaded.fleet, fleet.base, allow_reboot=allow_reboot)
            await driven.run(engine, Watch(show, progress), kernels)
        except BaseException:
            show.say(
                f"{summary_line(fleet, driven.known)} Runs that have begun go on. Follow them with "
                f"`losttick fleet resume {folder}`, or end them with `losttick fleet cancel "
                f"{folder}`."
            )
            raise
    code = await in_thread(fleet_exit, fleet, driven.known, kernels)
    if as_json:
        print_json(described(fleet, driven.known) | {"exit_code": int(code)})
        return code
    screen = Screen()
    print_tasks(screen, fleet, driven.known)
    screen.line(f"the answer: losttick fleet collect {folder}")
    return code


async def ask(
    where: Path,
    doing: Callable[[Drive, Executor, Watch], Awaitable[None]],
    *,
    shared: bool,
    as_json: bool,
) -> ExitCode:
    """Ask the engine of a fleet once, and print where its tasks stand.

    Args:
        where: the fleet's folder, or its fleet file.
        doing: what to ask.
        shared: whether other users may be able to write to the folder.
        as_json: whether to print one JSON object.

    Raises:
        LosttickError: the fleet can't be read.
    """
    fleet, known = await in_thread(reopen, find(where))
    trouble: FleetError | None = None
    with _log_of(fleet, shared=shared) as log, Show(0.95) as show:
        driven = Drive(fleet, log, known)
        try:
            engine = open_engine(fleet.loaded.fleet, fleet.base)
            await doing(driven, engine, Watch(show, lambda done, total: None))
        except FleetError as error:
            trouble = error
    if as_json:
        print_json(described(fleet, driven.known) | {"error": trouble and str(trouble)})
    else:
        print_tasks(Screen(), fleet, driven.known)
    if trouble:
        say(f"losttick: {trouble}. The table is what was known before.")
    return ExitCode.HARNESS if trouble else ExitCode.CLEAN


@contextlib.contextmanager
def _log_of(fleet: OpenFleet, *, shared: bool) -> Iterator[FleetWriter | None]:
    """Open the log of a fleet; yield None if another losttick, which follows it, writes there."""
    try:
        log = FleetWriter(fleet.folder, shared=shared)
    except BusyFleetError:
        yield None
        return
    with log:
        yield log
