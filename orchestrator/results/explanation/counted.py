"""The cases of a report that its answer rests on."""

from collections.abc import Sequence

from orchestrator.bugs.exposure import ExposureState
from orchestrator.results.report import Case, Report
from orchestrator.verdict.verdict import Verdict


def asked(report: Report) -> Sequence[Case]:
    """Return the cases whose answer was the question.

    An arm of a lab whose answer is known is no question, and a skip that the plan accepts is
    none, unless there are no others.
    """
    cases = [each for each in report.cases if not each.accepted] or list(report.cases)
    return [each for each in cases if each.lab is None or each.lab.untouched] or cases


def telling(report: Report) -> Sequence[Case]:
    """Return the cases that the verdict of a report rests on.

    These are the cases with its verdict. Of clean ones, those on hosts that could have shown the
    bug tell more than others. There are none if a known arm of a lab surprised.
    """
    found = [each for each in asked(report) if each.verdict is report.verdict]
    if report.verdict is Verdict.CLEAN:
        exposed = [each for each in found if each.exposure.state is ExposureState.EXPOSED]
        return exposed or found
    return found
