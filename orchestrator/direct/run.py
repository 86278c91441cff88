"""Runs the program of the direct test on this host."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from orchestrator.clock import DEFAULT_DEADLINES, Clock, LocalClock
from orchestrator.direct.answers import Counted, ShortAnswerError, collect
from orchestrator.direct.wanted import DirectTrials
from orchestrator.errors import InfraError, TransientError, UnfitError, says_no_room
from orchestrator.findings.series import DirectCounts, Series
from orchestrator.host.kvm_access import access_to_kvm
from orchestrator.host.waits import Waits
from orchestrator.journal.trial_record import Role
from orchestrator.process.output import Output
from orchestrator.process.supervised import supervise

#: The program's exit code if it can't open /dev/kvm.
NO_KVM = 3


class NoKvmError(UnfitError):
    """The direct test can't use /dev/kvm here."""


async def run_program(
    program: Path,
    wanted: DirectTrials,
    progress: Callable[[int], None] = lambda done: None,
    counted: Counted = lambda series, role: None,
    *,
    clock: Clock | None = None,
    within_ns: int = DEFAULT_DEADLINES.direct_news_ns,
) -> DirectCounts:
    """Run the program on this host and read its answers.

    Args:
        program: the path that `build` returned.
        wanted: the trials.
        progress: called now and then with the number of trials done.
        counted: called with each series as soon as it is counted.
        clock: of this host; by default its own.
        within_ns: how long the next news may take; see `collect`.

    Raises:
        NoKvmError: /dev/kvm can't be opened.
        SilentProgramError: nothing new came from it for too long, maybe as it got no CPU.
        TransientError: the host had no room for it at the moment.
        InfraError: the program failed.
    """
    output = Output()
    process = await supervise(
        [str(program), *wanted.arguments], {},
        what="the direct test", on_output=output.hear,
    )  # fmt: skip
    waits = Waits(process.pid)

    def counts_on(done: int) -> None:
        waits.restart()
        progress(done)

    def series_counted(series: Series, role: Role) -> None:
        waits.restart()
        counted(series, role)

    exiting = asyncio.create_task(process.exited())
    exiting.add_done_callback(lambda _: output.end())
    try:
        return await collect(
            output.lines(), wanted, clock or LocalClock(), counts_on, series_counted,
            within_ns=within_ns, excuse=lambda stood_still: waits.excuse(),
        )  # fmt: skip
    except ShortAnswerError as error:
        end = await exiting
        words = "\n".join(
            line for line in end.stderr.splitlines() if not line.startswith("{")
        ).strip()
        if end.code == NO_KVM:
            access = access_to_kvm()
            mend = f" To give this user access, {access}." if access else ""
            raise NoKvmError(
                f"running the direct test: {words}.{mend} `losttick doctor` says more"
            ) from error
        failed = TransientError if says_no_room(words) else InfraError
        raise failed(
            f"running the direct test: it ended with {end.by}: {words or 'no message'}"
        ) from error
    finally:
        exiting.cancel()
        await process.kill()
