"""What a run says of a candidate."""

import errno
import os
from pathlib import Path

from orchestrator.bisect.tester import Stage, Tested, Untestable
from orchestrator.bugs.exposure import ExposureState
from orchestrator.errors import TransientError, UnfitError
from orchestrator.findings.outcome import Outcome
from orchestrator.results.sentence import sentence
from orchestrator.verdict.run import CellResult, RunResult
from orchestrator.verdict.verdict import Verdict

#: What a host says that has no room: of the next candidate it would say the same.
_NO_ROOM = tuple(os.strerror(each) for each in (errno.ENOSPC, errno.EDQUOT, errno.ENOMEM))


class SkippedCandidateError(UnfitError):
    """A host lacks what a test of any candidate needs."""


def had_no_room(result: RunResult) -> bool:
    """Return whether a run gave up because its host had no room or no memory."""
    failures = [cell.counts.failure or "" for cell in result.cells]
    return any(words in failure for words in _NO_ROOM for failure in failures)


def judged(result: RunResult, seconds: float, folder: Path, signature: str) -> Tested | Untestable:
    """Return what a run of one cell says of its candidate.

    Only a diagnosed loss is a loss. Ordinary ticks count only if the run could have shown one: its
    controls were seen, and the host is exposed.

    Args:
        result: the run.
        seconds: time for build, boot and loads.
        folder: the run's folder.
        signature: digest of the kernel.

    Raises:
        SkippedCandidateError, TransientError: the host is at fault, and not the candidate.
    """
    (cell,) = result.cells
    counts = cell.counts
    why = f"{sentence(f'{cell.verdict}: {cell.why}')} The run: {folder}"
    loads = counts.trials - counts.outcomes[Outcome.UNKNOWN]
    if result.verdict is Verdict.SKIPPED:
        raise SkippedCandidateError(f"testing {cell.cell.id}: {cell.why}")
    if had_no_room(result):
        raise TransientError(f"testing {cell.cell.id}: {counts.failure}")
    if result.verdict is Verdict.AFFECTED:
        return Tested(loads, counts.bug_losses, seconds, str(folder), signature)
    if result.verdict is Verdict.CLEAN and loads and not _hidden(cell):
        return Tested(loads, 0, seconds, str(folder), signature)
    if result.verdict is Verdict.CLEAN:
        why = f"{_hidden(cell) or 'No load was counted'}. The run: {folder}"
    stage = Stage.BOOT if counts.facts is None else Stage.TEST
    return Untestable(why, seconds, stage)


def _hidden(cell: CellResult) -> str:
    """Return why the host could not have shown a loss; empty if it could."""
    if cell.exposure.state is ExposureState.EXPOSED:
        return ""
    return f"A loss could not have shown, or may not: {cell.exposure.why}"
