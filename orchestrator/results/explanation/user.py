"""The explanation for the person whose computer it is."""

from collections.abc import Sequence

from orchestrator.bugs.catalogue import APICV_BUG
from orchestrator.bugs.known_bug import KnownBug
from orchestrator.bugs.remedy import (
    MORE_LOADS,
    NEWER_KERNEL,
    OTHER_CAUSES,
    TEST_AGAIN,
    WITHOUT_SNAPSHOT,
    switched_off,
)
from orchestrator.results.explanation.answer import answer, is_lab, may_be_the_bug, narrow
from orchestrator.results.explanation.counted import telling
from orchestrator.results.explanation.text import Section, of_steps
from orchestrator.results.report import Report
from orchestrator.verdict.verdict import Verdict


def for_user(report: Report) -> Sequence[Section]:
    """Return what happened, what it means for this computer, and what to do."""
    opening = Section("", (answer(report),))
    if is_lab(report):
        return (opening,)
    if report.verdict is Verdict.AFFECTED:
        return (opening, *_remedy(APICV_BUG, froze=not narrow(report)))
    if report.verdict is Verdict.ANOMALOUS:
        return (opening, *_suspected(report), _others("What else it may be"))
    heading = "If a virtual machine or an emulator freezes here"
    return (opening, _others(heading))


def _remedy(bug: KnownBug, *, froze: bool) -> Sequence[Section]:
    """Return how long a bug of the kernel lasts, and the steps against it."""
    steps = [*([WITHOUT_SNAPSHOT] if froze else []), NEWER_KERNEL, TEST_AGAIN, *switched_off(bug)]
    return (
        Section(
            "How long it lasts",
            (
                "It lasts until this computer runs a kernel that has the fix, or until the "
                "feature below is switched off. Restarting the computer, the emulator or the "
                "virtual machine does not help by itself.",
            ),
        ),
        Section("What to do", of_steps(steps)),
    )


def _suspected(report: Report) -> Sequence[Section]:
    """Return what to do against a bug that the trials resemble."""
    if may_be_the_bug(report):
        return (Section("To be sure", of_steps((MORE_LOADS,))),)
    bugs = [each.bug for case in telling(report) for each in case.known_bugs]
    steps = of_steps(switched_off(bugs[0])) if bugs else ()
    if not steps:
        return ()
    hint = "This helps only if it is the known fault that the result resembles."
    return (Section("What to try", (hint, *steps)),)


def _others(heading: str) -> Section:
    return Section(heading, of_steps(OTHER_CAUSES))
