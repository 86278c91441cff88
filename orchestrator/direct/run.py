"""Runs the program of the direct test, and reads its answers."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from orchestrator.direct.wanted import DirectTrials
from orchestrator.errors import InfraError, UnfitError
from orchestrator.findings.series import DirectCounts, Series
from orchestrator.host.kvm_access import access_to_kvm

#: The program's exit code if it can't open /dev/kvm.
NO_KVM = 3


class NoKvmError(UnfitError):
    """The direct test can't use /dev/kvm here."""


class ShortAnswerError(InfraError):
    """The program ended before it had answered everything."""


async def run_program(
    program: Path,
    wanted: DirectTrials,
    progress: Callable[[int], None] = lambda done: None,
) -> DirectCounts:
    """Run the program on this host and read its answers.

    Args:
        program: the path that `build` returned.
        wanted: the trials.
        progress: called now and then with the number of trials done.

    Raises:
        NoKvmError: /dev/kvm can't be opened.
        InfraError: the program failed.
    """
    process = await asyncio.create_subprocess_exec(
        str(program), *wanted.arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,  # losttick handles a Ctrl-C at the terminal
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        return await collect(
            (line.decode() async for line in process.stdout), len(wanted.tmccts_ns), progress
        )
    except ShortAnswerError as error:
        words = (await process.stderr.read()).decode(errors="replace").strip()
        code = await process.wait()
        if code == NO_KVM:
            access = access_to_kvm()
            mend = f" To give this user access, {access}." if access else ""
            raise NoKvmError(
                f"running the direct test: {words}.{mend} `losttick doctor` says more"
            ) from error
        raise InfraError(
            f"running the direct test: it ended with exit code {code}: {words or 'no message'}"
        ) from error
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def collect(
    lines: AsyncIterator[str],
    series_expected: int,
    progress: Callable[[int], None],
) -> DirectCounts:
    """Read the answers of the program, wherever it runs.

    Args:
        lines: what the program prints; lines that are not JSON objects are ignored.
        series_expected: number of series, not counting the control.
        progress: called with the number of trials done.

    Raises:
        ShortAnswerError: the program ended before its last series.
    """
    series: list[Series] = []
    async for line in lines:
        if not line.startswith("{"):
            continue
        said = json.loads(line)
        if "progress" in said:
            progress(said["progress"])
        else:
            del said["series"]
            series.append(Series(**said))
    if len(series) != series_expected + 1:
        raise ShortAnswerError(
            f"running the direct test: it answered {len(series)} of {series_expected + 1} series"
        )
    *restored, control = series
    return DirectCounts(tuple(restored), control)
