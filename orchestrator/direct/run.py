"""Runs the program of the direct test, and reads its answers."""

import asyncio
import contextlib
import json
import math
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from orchestrator.direct.wanted import DirectTrials
from orchestrator.errors import InfraError, UnfitError
from orchestrator.findings.series import DirectCounts, Series
from orchestrator.host.kvm_access import access_to_kvm

#: The counts of a series, by their names in an answer.
_COUNTS = ("tmcct_ns", "trials", "lost", "pending", "mean_ns")

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
        await process.communicate()  # to the end of its pipes: asyncio closes them then


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
        InfraError: what it answered makes no sense. In a lab, the kernel under test runs it.
    """
    series: list[Series] = []
    async for line in lines:
        if not line.startswith("{"):
            continue
        answer = _answer(line)
        if isinstance(answer, Series):
            series.append(answer)
        else:
            progress(answer)
    if len(series) != series_expected + 1:
        raise ShortAnswerError(
            f"running the direct test: it answered {len(series)} of {series_expected + 1} series"
        )
    *restored, control = series
    return DirectCounts(tuple(restored), control)


def _answer(line: str) -> Series | int:
    """Return what a line of the program says: a series, or the number of trials done.

    Raises:
        InfraError: it makes no sense.
    """
    try:
        said = json.loads(line)
        if "progress" in said:
            return _count(said["progress"])
        counts = {name: _count(said[name]) for name in _COUNTS}
        seconds = float(said["seconds"])
        if max(counts["lost"], counts["pending"]) > counts["trials"] or not 0 <= seconds < math.inf:
            raise ValueError
    except (ValueError, TypeError, LookupError, RecursionError) as error:
        raise InfraError(f"running the direct test: {line[:200]!r} is no answer of it") from error
    return Series(**counts, seconds=seconds)


def _count(said: object) -> int:
    """Return a count that the program said.

    Raises:
        ValueError: it is none.
    """
    if type(said) is not int or not 0 <= said < 1 << 63:
        raise ValueError
    return said
