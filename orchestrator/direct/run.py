"""Runs the probe, and says what its losses amount to."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.bugs.exposure import Exposure, ExposureState
from orchestrator.errors import InfraError, UnfitError
from orchestrator.stats.rate import Losses, LossRate, loss_rate
from orchestrator.verdict.verdict import Verdict

#: Trials of the control: each costs 20 ms of silence.
CONTROL_TRIALS = 5


class NoKvmError(UnfitError):
    """The probe can't use /dev/kvm here."""


class ShortAnswerError(InfraError):
    """The probe ended before it had answered everything."""


@dataclass(frozen=True, slots=True)
class Series:
    """Trials with one forced current count."""

    tmcct_ns: int
    """What TMCCT was restored as; QEMU always restores 0."""
    trials: int
    lost: int
    pending: int
    """Trials in which KVM_GET_LAPIC showed the vector in the IRR right after KVM_SET_LAPIC."""
    mean_ns: int
    """From the restore to the interrupt, on average."""
    seconds: float
    loss_rate: LossRate


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """What the probe found."""

    series: tuple[Series, ...]
    control: Series
    """Timers restored with TMICT 0, which never fire: each must be lost."""


async def run_probe(
    program: Path,
    trials: int,
    period_ns: int,
    tmccts_ns: Sequence[int],
    confidence: float,
    progress: Callable[[int], None] = lambda done: None,
) -> ProbeResult:
    """Run the probe and read its answers.

    Args:
        program: as `build` returns it.
        trials: for each TMCCT.
        period_ns: the timer's initial count.
        tmccts_ns: current counts to restore.
        confidence: of the intervals.
        progress: hears how many trials are done, now and then.

    Raises:
        NoKvmError: /dev/kvm can't be opened.
        InfraError: the probe failed.
    """
    process = await asyncio.create_subprocess_exec(
        str(program), *probe_arguments(trials, period_ns, tmccts_ns),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        return await collect(
            (line.decode() async for line in process.stdout), len(tmccts_ns), confidence, progress
        )
    except ShortAnswerError as error:
        words = (await process.stderr.read()).decode(errors="replace").strip()
        if words.startswith("/dev/kvm"):
            raise NoKvmError(
                f"running the probe: {words}. `losttick doctor` says what would mend it."
            ) from error
        code = await process.wait()
        raise InfraError(
            f"running the probe: it ended with {code}: {words or 'without a word'}"
        ) from error
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def probe_arguments(trials: int, period_ns: int, tmccts_ns: Sequence[int]) -> list[str]:
    """Return the probe's arguments; its control comes last."""
    series = [str(number) for number in (trials, period_ns, *tmccts_ns)]
    return [*series, "--", "control", str(CONTROL_TRIALS)]


async def collect(
    lines: AsyncIterator[str],
    series_expected: int,
    confidence: float,
    progress: Callable[[int], None],
) -> ProbeResult:
    """Read the probe's answers.

    Args:
        lines: what it prints, wherever it runs; lines that are no JSON objects are left out.
        series_expected: how many series it was asked for, the control not counted.
        confidence: of the intervals.
        progress: hears how many trials are done.

    Raises:
        ShortAnswerError: it ended before its last series.
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
            rate = loss_rate(Losses(said["trials"], said["lost"]), confidence)
            series.append(Series(**said, loss_rate=rate))
    if len(series) != series_expected + 1:
        raise ShortAnswerError(
            f"running the probe: it answered {len(series)} of {series_expected + 1} series"
        )
    *restored, control = series
    return ProbeResult(tuple(restored), control)


def judge(result: ProbeResult, exposure: Exposure) -> tuple[Verdict, str]:
    """Return the verdict and what it rests on."""
    control = result.control
    lossy = [series for series in result.series if series.lost]
    if lossy:
        shown = ", ".join(f"{s.lost} of {s.trials} at TMCCT {s.tmcct_ns} ns" for s in lossy)
        if exposure.state is ExposureState.NOT_EXPOSED:
            return Verdict.ANOMALOUS, f"lost {shown}; {exposure.why}, so this is not the APICv bug"
        narrow = all(s.tmcct_ns for s in lossy)
        return Verdict.AFFECTED, f"lost {shown}" + (
            ": the narrow race; QEMU always restores TMCCT 0, and does not meet it"
            if narrow
            else ""
        )
    if control.lost < control.trials:
        return (
            Verdict.INCONCLUSIVE,
            f"only {control.lost} of {control.trials} timers that never fire were called lost",
        )
    worst = max(series.loss_rate.high for series in result.series)
    return (
        Verdict.CLEAN,
        f"no loss at any TMCCT rules out a loss rate above {worst:.3%} at each",
    )
