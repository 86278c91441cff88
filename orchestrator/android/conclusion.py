"""Puts together what the emulator and the kernel's own test have shown."""

import enum
from collections.abc import Iterable
from dataclasses import dataclass

from orchestrator.android.findings import Findings, Guest, Likeness
from orchestrator.bugs.exposure import ExposureState
from orchestrator.results.exit_code import ExitCode, gravest, result_exit
from orchestrator.results.explanation.counted import telling
from orchestrator.results.report import Report
from orchestrator.verdict.verdict import Verdict


class Kernel(enum.StrEnum):
    """The kernel's own test shows this of the known bug."""

    HAS_BUG = "has the bug"
    LACKS_BUG = "lacks the bug"
    """The bug would have shown, and did not: the kernel has the fix, or never had the bug."""
    SPARED = "spared"
    """The bug cannot strike on this computer, whatever its kernel has."""
    UNKNOWN = "unknown"


class Emulator(enum.StrEnum):
    """The emulator has shown this."""

    LIKE_THE_BUG = "froze like the bug"
    OTHERWISE = "froze otherwise"
    FROZE = "froze"
    """Its vCPUs do not tell how."""
    STOPPED = "stopped"
    HIDDEN = "ran, with a timer that hides the bug"
    RAN = "ran"
    UNTESTED = "untested"


class Answer(enum.StrEnum):
    """Is it the known bug?"""

    YES = "yes"
    LIKELY = "likely"
    NO = "no"
    UNKNOWN = "unknown"
    NOT_SEEN = "not seen"
    """The emulator did not freeze."""


@dataclass(frozen=True, slots=True)
class Conclusion:
    """The answer for the person whose emulator freezes."""

    emulator: Emulator
    kernel: Kernel
    answer: Answer


def of_kernel(report: Report | None) -> Kernel:
    """Return what a run of the plan `android` shows of the bug; None if it could not run."""
    if report is None:
        return Kernel.UNKNOWN
    if report.verdict is Verdict.AFFECTED:
        return Kernel.HAS_BUG
    if report.verdict is not Verdict.CLEAN:
        return Kernel.UNKNOWN
    states = {case.exposure.state for case in telling(report)}
    if states == {ExposureState.EXPOSED}:
        return Kernel.LACKS_BUG
    return Kernel.SPARED if states == {ExposureState.NOT_EXPOSED} else Kernel.UNKNOWN


def of_emulator(findings: Findings | None) -> Emulator:
    """Return what was seen of an emulator; None if it could not be tested."""
    if findings is None:
        return Emulator.UNTESTED
    if findings.last is Guest.STOPPED:
        return Emulator.STOPPED
    if findings.last is Guest.RAN:
        return Emulator.HIDDEN if findings.hidden else Emulator.RAN
    likeness = findings.freeze.likeness if findings.freeze else Likeness.UNKNOWN
    return {
        Likeness.BY_BUG: Emulator.LIKE_THE_BUG,
        Likeness.OTHERWISE: Emulator.OTHERWISE,
        Likeness.ALIVE: Emulator.OTHERWISE,
        Likeness.UNKNOWN: Emulator.FROZE,
    }[likeness]


def conclude(findings: Findings | None, report: Report | None) -> Conclusion:
    """Return the answer. It is `yes` only if emulator and kernel say the same."""
    emulator, kernel = of_emulator(findings), of_kernel(report)
    return Conclusion(emulator, kernel, _answer(emulator, kernel))


def _answer(emulator: Emulator, kernel: Kernel) -> Answer:
    if emulator in (Emulator.RAN, Emulator.HIDDEN):
        return Answer.NOT_SEEN
    if emulator is Emulator.UNTESTED:
        return Answer.UNKNOWN
    if emulator in (Emulator.OTHERWISE, Emulator.STOPPED):
        return Answer.NO
    if kernel in (Kernel.LACKS_BUG, Kernel.SPARED):
        return Answer.NO
    if emulator is Emulator.LIKE_THE_BUG:
        return Answer.YES if kernel is Kernel.HAS_BUG else Answer.LIKELY
    return Answer.LIKELY if kernel is Kernel.HAS_BUG else Answer.UNKNOWN


def exit_code(
    conclusion: Conclusion, report: Report | None, failed: Iterable[ExitCode] = ()
) -> ExitCode:
    """Return the exit code: that of the kernel's test, unless the emulator's is graver.

    Only the kernel's own test makes a host `affected`. An emulator that froze is `anomalous`.
    No failure outweighs such a finding. A fault of usage is no finding, and outweighs the rest.

    Args:
        conclusion: of both.
        report: of the kernel's test; None if it did not run.
        failed: the codes of the errors that ended either of them.
    """
    kernel = result_exit(report.result.ends) if report else ExitCode.CLEAN
    ran = conclusion.emulator in (Emulator.RAN, Emulator.HIDDEN, Emulator.UNTESTED)
    failures = set(failed)
    found = gravest([kernel, ExitCode.CLEAN if ran else ExitCode.ANOMALOUS])
    if ExitCode.USAGE in failures and found not in (ExitCode.AFFECTED, ExitCode.ANOMALOUS):
        return ExitCode.USAGE
    return gravest([found, *failures])
