"""What became of a case, in the words that CI systems share."""

import enum
from collections.abc import Iterable

from orchestrator.verdict.verdict import Ended, Verdict


class Status(enum.StrEnum):
    """What became of a case. Each output has a word of its own for it."""

    PASSED = "passed"
    KNOWN_BUG = "known-bug"
    """The verdict is `affected`."""
    FAULT = "fault"
    """The verdict is `anomalous`: ticks went wrong, but not by the known bug."""
    ERROR = "error"
    """No statement is possible, or an arm of a lab did not give its known answer."""
    HARNESS = "harness"
    """losttick or its QEMU failed."""
    SKIPPED = "skipped"


def status(ended: Ended, expected: Verdict | None = None, *, asked: bool = True) -> Status:
    """Return what became of a case.

    Args:
        ended: the verdict, and whether the harness failed.
        expected: the verdict that an arm of a lab must get, which then is no finding; None if
            the verdict is the question.
        asked: whether the verdict counts. The verdict of an arm of a lab may be a mere
            observation, which fails only if it could not be made.
    """
    if not asked and not ended.failed and ended.verdict is not Verdict.SKIPPED:
        return Status.PASSED
    known = expected is not None
    match ended.verdict:
        case Verdict.AFFECTED if not known:
            return Status.KNOWN_BUG
        case Verdict.ANOMALOUS if not known:
            return Status.FAULT
        case _ if ended.failed:
            return Status.HARNESS
        case Verdict.SKIPPED:
            return Status.SKIPPED
        case Verdict.CLEAN if not known:
            return Status.PASSED
    return Status.PASSED if known and ended.verdict is expected else Status.ERROR


def overall_status(statuses: Iterable[Status]) -> Status:
    """Return what became of several cases together: the gravest of them."""
    order = (
        Status.KNOWN_BUG, Status.FAULT, Status.HARNESS, Status.ERROR, Status.PASSED, Status.SKIPPED,
    )  # fmt: skip
    return min(statuses, key=order.index, default=Status.SKIPPED)
