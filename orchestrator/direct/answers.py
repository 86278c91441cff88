"""The answers of the direct test's program, wherever it runs, and how long they may take.

In a lab, the kernel under test runs the program: what it prints may be anything, or nothing.
"""

import asyncio
import contextlib
import json
import math
from collections.abc import AsyncIterator, Callable

from orchestrator.clock import DEFAULT_DEADLINES, Clock
from orchestrator.direct.wanted import CONTROL_TRIALS, DirectTrials
from orchestrator.errors import InfraError
from orchestrator.findings.series import DirectCounts, Series
from orchestrator.journal.trial_record import Role

#: Hears of each series with its role: the control comes last.
Counted = Callable[[Series, Role], None]

#: The counts of a series, by their names in an answer.
_COUNTS = ("tmcct_ns", "trials", "lost", "pending", "mean_ns")

#: Periods of the timer that the program may take between two news, besides the deadline. A trial
#: takes two at most, and a calibration five, in CPU time: the rest is for a busy host.
_PERIODS = 60

#: Times that the deadline of a host whose clock stands still is put off. A lab in which nothing
#: speaks at all ends by its own deadline before, which tells one that is stuck from one that gets
#: no CPU: a wait that is not over yet is not counted anywhere.
_MOST_EXCUSED = 6

#: Returns why the program is late though it is sound, and what to do; empty if nothing excuses
#: it. It is told whether the clock of the program's host stood still.
Excuse = Callable[[bool], str]


class ShortAnswerError(InfraError):
    """The program ended before it had answered everything."""


class SilentProgramError(InfraError):
    """The program said nothing new for too long, whatever else it may have printed."""

    def __init__(self, seen: str, *, transient: bool = False) -> None:
        """Build the message.

        Args:
            seen: what happened, for a person.
            transient: whether the program, or its lab, got no CPU.
        """
        self._transient = transient
        super().__init__(f"running the direct test: {seen}")

    @property
    def transient(self) -> bool:
        """True if this computer had no time for the program at the moment."""
        return self._transient


async def collect(
    lines: AsyncIterator[str],
    wanted: DirectTrials,
    clock: Clock,
    progress: Callable[[int], None] = lambda done: None,
    counted: Counted = lambda series, role: None,
    *,
    within_ns: int = DEFAULT_DEADLINES.direct_news_ns,
    excuse: Excuse = lambda stood_still: "",
) -> DirectCounts:
    """Read the answers of the program, wherever it runs.

    Args:
        lines: what the program prints; lines that are not JSON objects are ignored.
        wanted: the trials that the program was asked for.
        clock: of the host that the program runs on.
        progress: called with the number of trials done.
        counted: called with each series as soon as it is counted.
        within_ns: how long the next news may take, besides `_PERIODS` periods of the timer.
            Only what counts on is news: neither other lines, nor a sign of life of the host.
        excuse: asked when the next news did not come in time.

    Raises:
        ShortAnswerError: the program ended before its last series.
        SilentProgramError: the next news did not come in time.
        InfraError: what it answered makes no sense. In a lab, the kernel under test runs it.
    """
    answers = _Answers(wanted, progress, counted)
    wait_ns = within_ns + _PERIODS * wanted.longest_period_ns
    reading = asyncio.create_task(answers.read(lines))
    reading.add_done_callback(lambda _: answers.news.set())
    due_ns, excused = clock.now_ns() + wait_ns, 0
    try:
        while not reading.done():
            answers.news.clear()
            with contextlib.suppress(TimeoutError):
                async with clock.deadline(due_ns - clock.now_ns()):
                    await answers.news.wait()
            # If losttick itself was stopped meanwhile, news and deadline come at once.
            if answers.news.is_set():
                due_ns, excused = clock.now_ns() + wait_ns, 0
                continue
            stood_still = due_ns - clock.now_ns() > wait_ns // 10
            why = excuse(stood_still)
            if not stood_still or excused == _MOST_EXCUSED:
                raise _silence(answers, wait_ns, why, stood_still=stood_still)
            excused += 1
        reading.result()
    finally:
        reading.cancel()
        await asyncio.wait({reading})
    if len(answers.series) != answers.expected:
        raise ShortAnswerError(
            f"running the direct test: it answered {len(answers.series)} of {answers.expected} "
            "series"
        )
    *restored, control = answers.series
    return DirectCounts(tuple(restored), control)


def _silence(
    answers: "_Answers", wait_ns: int, why: str, *, stood_still: bool
) -> SilentProgramError:
    """Return the error for a program that said nothing new in time."""
    said = f"after {len(answers.series)} of {answers.expected} series"
    if stood_still:
        seen = f"the program's lab said nothing, or its clock stood still, for too long, {said}"
        guess = ". The kernel in it may be stuck: its serial log would say so"
    else:
        limit = f"{wait_ns / 1e9:g} s of its host's time"
        seen = f"its program said nothing new for {limit}, {said}"
        guess = (
            ". The kernel may have stopped it: `dmesg`, or the lab's serial log, would say so. "
            "Run it again while this computer is less busy"
        )
    return SilentProgramError(seen + (why or guess), transient=bool(why))


class _Answers:
    """The answers of the program so far."""

    def __init__(
        self, wanted: DirectTrials, progress: Callable[[int], None], counted: Counted
    ) -> None:
        self.series: list[Series] = []
        self.expected = len(wanted.tmccts_ns) + 1  # with the control
        self.news = asyncio.Event()
        """Set by each answer that counts on; there can't be more of these than trials."""
        self._most = wanted.total + CONTROL_TRIALS
        self._done = -1
        self._progress, self._counted = progress, counted

    async def read(self, lines: AsyncIterator[str]) -> None:
        """Read answers until the program has ended.

        Raises:
            InfraError: one makes no sense.
        """
        async for line in lines:
            if line.startswith("{"):
                self._hear(line)

    def _hear(self, line: str) -> None:
        said = _answer(line)
        if isinstance(said, Series):
            if len(self.series) == self.expected:
                raise _no_answer(line)
            self.series.append(said)
            last = len(self.series) == self.expected
            self._counted(said, Role.CONTROL if last else Role.HOST)
        elif said > self._most:
            raise _no_answer(line)
        elif said <= self._done:
            return
        else:
            self._done = said
            self._progress(said)
        self.news.set()


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
        raise _no_answer(line) from error
    return Series(**counts, seconds=seconds)


def _no_answer(line: str) -> InfraError:
    return InfraError(f"running the direct test: {line[:200]!r} is no answer of it")


def _count(said: object) -> int:
    """Return a count that the program said.

    Raises:
        ValueError: it is none.
    """
    if type(said) is not int or not 0 <= said < 1 << 63:
        raise ValueError
    return said
