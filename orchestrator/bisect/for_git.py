"""The answer of a run to `git bisect run`.

Git reads an exit code of 0 as good, 1 to 127 as bad except 125, which skips the commit, and ends
the bisection at 128 and more. So whatever says nothing about the commit must be 125, if another
commit may do better, or 128 and more.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.bisect.judge import had_no_room
from orchestrator.bugs.exposure import ExposureState
from orchestrator.results.exit_code import ExitCode, result_exit
from orchestrator.results.sentence import sentence
from orchestrator.stats.rate import rate_over_loads
from orchestrator.verdict.run import RunResult, asked_for
from orchestrator.verdict.verdict import Verdict

GOOD, BAD, SKIP = 0, 1, 125


#: A bisection ends at this number plus losttick's own exit code.
ABORT = 200


#: Git's words for the codes.
_WORDS = {GOOD: "good", BAD: "bad", SKIP: "skip"}


@dataclass(frozen=True, slots=True)
class Answer:
    """An exit code for git, and the reason for it."""

    code: int
    why: str

    @property
    def word(self) -> str:
        """Git's reading of the code: `good`, `bad`, `skip` or `abort`."""
        return _WORDS.get(self.code, "abort")


@dataclass(frozen=True, slots=True)
class Claim:
    """What an answer `good` must have ruled out."""

    rate: float
    error: float
    """The probability with which a commit of that loss rate may pass."""


def abort(code: ExitCode, why: str) -> Answer:
    """Return the answer that ends the bisection.

    Args:
        code: of losttick, for the same trouble.
        why: the reason.
    """
    kept = (ExitCode.INTERRUPTED, ExitCode.BROKEN_PIPE)
    return Answer(code if code in kept else ABORT + code, why)


def answer_to_error(code: int, error: str, *, of_subject: bool) -> Answer:
    """Return the answer to a run that ended before its first trial.

    Args:
        code: its exit code.
        error: its message.
        of_subject: whether the commit is at fault, such as one that does not build.
    """
    if of_subject:
        return Answer(SKIP, error)
    known = code in set(ExitCode) - {ExitCode.CLEAN, ExitCode.AFFECTED}
    return abort(ExitCode(code) if known else ExitCode.HARNESS, error)


def answer(result: RunResult, code: int, printed: Mapping[str, Any], claim: Claim) -> Answer:
    """Return the answer of a run, from its journal.

    Args:
        result: the run, as its journal has it.
        code: the exit code of the command that ran it.
        printed: the JSON object that the command printed.
        claim: what `good` must have ruled out.
    """
    if result.interrupted is not None:
        return abort(ExitCode.HARNESS, f"the run has not ended: {result.interrupted}")
    told = result_exit(result.ends)
    if (code, printed.get("verdict")) != (told, result.verdict.value):
        return abort(
            ExitCode.HARNESS,
            f"the command ended with {code} and said {printed.get('verdict')}, but its journal "
            f"says {result.verdict}, which ends with {int(told)}",
        )
    why = sentence(f"{result.verdict}: {result.telling.why}")
    match result.verdict:
        case Verdict.AFFECTED:
            return Answer(BAD, why)
        case Verdict.SKIPPED:
            return abort(ExitCode.UNFIT, why)
        case Verdict.CLEAN:
            return _answer_to_clean(result, why, claim)
    if had_no_room(result):
        return abort(ExitCode.HARNESS, why)
    return Answer(SKIP, why)


def _answer_to_clean(result: RunResult, why: str, claim: Claim) -> Answer:
    """Return `good` if every cell could show the bug and has ruled out the rate."""
    for cell in asked_for(result.cells):
        if cell.exposure.state is ExposureState.NOT_EXPOSED:
            return abort(ExitCode.UNFIT, f"the host can't show the bug: {cell.exposure.why}")
        if cell.exposure.state is ExposureState.UNKNOWN:
            return Answer(SKIP, f"whether the host could show the bug is not known: "
                                f"{cell.exposure.why}")  # fmt: skip
        ruled_out = rate_over_loads(cell.losses, 1 - claim.error).high
        if ruled_out > claim.rate * (1 + 1e-9):
            return Answer(
                SKIP,
                f"{cell.counts.trials} loads without a loss rule out loss rates above "
                f"{ruled_out:.3%}, and not those above {claim.rate:.3%}, at {claim.error:.3g} of "
                "error",
            )
    return Answer(GOOD, why)
