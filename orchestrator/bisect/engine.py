"""The loop of a bisection: choose, test, write down, until there is an answer."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from orchestrator.bisect.ancestry import Ancestry
from orchestrator.bisect.answer import remaining
from orchestrator.bisect.belief import Belief
from orchestrator.bisect.candidate import Candidate, History
from orchestrator.bisect.log import LOG, Log, LogError, read_log
from orchestrator.bisect.records import AskedRecord, Begun, BootRecord, SameRecord, UntestableRecord
from orchestrator.bisect.rules import Rules
from orchestrator.bisect.state import State, fold
from orchestrator.bisect.steps import Ending, Step, ends, next_step
from orchestrator.bisect.tester import Cost, Same, Stage, Tested, Tester, Untestable
from orchestrator.process.existence import is_file, is_hidden, no_file

#: Tries to test an end before it counts as untestable, and any other candidate.
_TRIES_AT_END, _TRIES = 2, 1


@dataclass(frozen=True, slots=True)
class Progress:
    """The next test, and the knowledge before it."""

    step: Step
    candidate: Candidate
    belief: Belief
    state: State
    remaining: int
    """Candidates that may still be the culprit: the fewest that are it with 95 %."""
    left_s: float
    """Expected time until the answer; a guess."""


class SettingsError(LogError):
    """A bisection is to be resumed with other settings than it had."""


class Bisection:
    """A bisection: its log on the disk, and what the log says."""

    def __init__(self, state: State, log: Log) -> None:
        self.state = state
        self._log = log
        self._ancestry = Ancestry(state.history, state.rules.find)
        self._expected: dict[str, int] = {}

    @classmethod
    def begin(
        cls, folder: Path, history: History, rules: Rules, settings: dict[str, str], *,
        shared: bool = False,
    ) -> "Bisection":  # fmt: skip
        """Begin a bisection in an empty folder.

        Raises:
            JournalError: the log can't be created.
            OutFolderError: another user can write to its folder.
        """
        begun = Begun(
            find=rules.find, min_rate=rules.min_rate, confidence=rules.confidence,
            candidates=tuple((c.name, c.summary, c.commit) for c in history.candidates),
            parents=history.parents, settings=settings, parent_rate=rules.parent_rate,
        )  # fmt: skip
        log = Log(folder, shared=shared)
        log.write(begun)
        return cls(State.begin(begun), log)

    @classmethod
    def resume(cls, folder: Path, *, shared: bool = False) -> "Bisection":
        """Open the bisection of a folder to go on with it.

        Raises:
            LogError: its log can't be read.
            FoldError: its log's records don't belong together.
            BusyJournalError: another process still goes on with it.
        """
        if is_hidden(folder / LOG):
            raise LogError(f"resuming the bisection in {folder}: {no_file(folder / LOG)}")
        if not is_file(folder / LOG):
            raise LogError(f"resuming the bisection in {folder}: it has no {LOG}")
        log = Log(folder, resume=True, shared=shared)
        try:
            return cls(fold(read_log(folder)), log)
        except BaseException:
            log.close()
            raise

    def ask_for_parent(self, rate: float) -> None:
        """Let the clean neighbour of the culprit rule out this loss rate, too.

        Raises:
            JournalError: the log can't be written.
        """
        record = AskedRecord(parent_rate=rate)
        self.state.add(record)
        self._log.write(record)

    def check_settings(self, settings: Mapping[str, str]) -> None:
        """Refuse settings under which a test might have another result.

        Args:
            settings: the tester's own; the log may have further ones.

        Raises:
            SettingsError: they differ from the log's.
        """
        before = self.state.settings
        for name in sorted(settings):
            if before.get(name) != settings.get(name):
                raise SettingsError(
                    f"resuming a bisection: {name} is {settings.get(name, 'not set')}, and was "
                    f"{before.get(name, 'not set')} when it began. Use the same, or begin anew"
                )

    def belief(self) -> Belief:
        """Return what is known."""
        return Belief(self._ancestry, self.state.rules, self.state.seen())

    async def run(self, tester: Tester, on_step: Callable[[Progress], None]) -> Ending:
        """Test until there is an answer.

        Args:
            tester: builds, boots and loads.
            on_step: is told before each test.

        Raises:
            LosttickError: the tester's host failed; or the log can't be written.
        """
        candidates = self.state.history.candidates
        while True:
            belief = self.belief()
            step = next_step(belief, self.state.boots, lambda c: tester.cost(candidates[c]))
            if isinstance(step, Ending):
                return step
            candidate = candidates[step.candidate]
            on_step(
                Progress(
                    step, candidate, belief, self.state, len(remaining(belief)),
                    expected_left_s(belief, step, tester.cost(candidate)),
                )
            )  # fmt: skip
            await self._test(tester, step, candidate, belief)

    async def _test(self, tester: Tester, step: Step, candidate: Candidate, belief: Belief) -> None:
        """Test a candidate, and write down what was seen."""
        tries = _TRIES_AT_END if step.candidate in ends(belief) else _TRIES
        for _ in range(tries):
            found = await tester.test(candidate, step.loads, step.losses)
            record = _record(step, found, self.state)
            self.state.add(record)
            self._log.write(record)
            if not (isinstance(record, UntestableRecord) and record.stage is not Stage.BUILD):
                return

    def close(self) -> None:
        """Close the log."""
        self._log.close()


def _record(
    step: Step, found: Tested | Untestable | Same, state: State
) -> BootRecord | UntestableRecord | SameRecord:
    """Return the record of what a tester saw. An answer that makes no sense tells nothing."""
    match found:
        case Tested() if found.loads >= 1 and 0 <= found.losses <= found.loads:
            return BootRecord(
                candidate=step.candidate, phase=step.phase, wanted=step.loads, loads=found.loads,
                losses=found.losses, seconds=found.seconds, evidence=found.evidence,
                signature=found.signature,
            )  # fmt: skip
        case Same() if state.is_known(found.signature):
            return SameRecord(
                candidate=step.candidate, phase=step.phase, signature=found.signature,
                seconds=found.seconds,
            )  # fmt: skip
        case Untestable():
            stage, why = found.stage, found.why
        case _:
            stage, why = Stage.TEST, f"the test was not counted: it says {found}"
    return UntestableRecord(
        candidate=step.candidate, phase=step.phase, stage=stage, why=why, seconds=found.seconds
    )


def bits_left(belief: Belief) -> float:
    """Return how much is not known of the culprit, in bits."""
    p = belief.hypothesis[belief.hypothesis > 0]
    return float(-(p * np.log2(p)).sum())


def expected_left_s(belief: Belief, step: Step, cost: Cost) -> float:
    """Return a guess of the time until the answer, in seconds.

    Each boot is taken to tell five sixths of a bit, and the confirmation to take two boots more.

    Args:
        belief: what is known.
        step: the next test.
        cost: the expected time for a test.
    """
    boots = math.ceil(bits_left(belief) * 1.2) + 2
    rate = float(belief.shared_rate() @ belief.rates)
    loads = min(step.loads, math.ceil(3 / max(rate, 1e-3)))
    return boots * (cost.start_s + 0.7 * loads * cost.load_s)
