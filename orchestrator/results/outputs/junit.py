"""JUnit XML as Jenkins, GitLab and others read it: a suite is a run, a case is a cell.

Names depend on the plan alone: CI systems know a test again by its class and its name. The
elements are those of the schema of Jenkins' xUnit plugin, which has no properties in a case. A
case's numbers are therefore in `system-out`, unless case properties are asked for.
"""

import io
from collections import Counter
from collections.abc import Iterator, Sequence

from junitparser import Error, Failure, Skipped
from junitparser.junitparser import FinalResult
from junitparser.xunit2 import JUnitXml, TestCase, TestSuite

from orchestrator.journal.trial_record import TrialRecord
from orchestrator.results.outputs.numbers import identity, numbers
from orchestrator.results.outputs.output import Output, OutputOptions
from orchestrator.results.printable import one_line, printable
from orchestrator.results.report import Case, Report, is_time
from orchestrator.results.run_names import run_names
from orchestrator.results.status import Status

#: Trials of a case whose diagnosis is told. A run may have a thousand.
_MOST_TRIALS = 10


class _JUnit:
    """JUnit XML."""

    def render(self, reports: Sequence[Report], options: OutputOptions) -> bytes:
        """Return the document."""
        document = JUnitXml("losttick")
        often = Counter((_class(report), case.name) for report in reports for case in report.cases)
        for report, name in zip(reports, run_names(reports), strict=True):
            # Elsewhere the folder has no place in a name: it differs from night to night.
            clash = any(often[_class(report), case.name] > 1 for case in report.cases)
            document.append(_suite(report, f".{name}" if clash else "", options))
        document.update_statistics()
        # Cells take turns: their times overlap, and their sum is no time of the run.
        for report, suite in zip(reports, document, strict=True):
            suite.time = round(_seconds(report), 3)
        document.time = round(sum(suite.time for suite in document), 3)
        file = io.BytesIO()
        document.write(file)
        return file.getvalue() + b"\n"


OUTPUT: Output = _JUnit()


def _seconds(report: Report) -> float:
    """Return the time that a run took, or its longest cell if the end of the run is not known."""
    if report.seconds is not None:
        return report.seconds
    return max((case.seconds or 0.0 for case in report.cases), default=0.0)


def _class(report: Report) -> str:
    return f"losttick.{report.command.replace(' ', '.')}"


def _suite(report: Report, within: str, options: OutputOptions) -> TestSuite:
    suite = TestSuite(one_line(_class(report) + within))
    if is_time(report.began_at):
        suite.timestamp = report.began_at
    facts = {**identity(report), "verdict": str(report.verdict), "meaning": report.meaning}
    if report.changes:
        facts["changes"] = " ".join(report.changes)
    if report.interrupted is not None:
        facts["interrupted"] = report.interrupted
    if report.went_down:
        facts["went_down"] = report.went_down
    for name, text in facts.items():
        suite.add_property(one_line(name), one_line(text))
    if report.cut_off:
        suite.append(_end(one_line(_class(report) + within), report))
    for case in report.cases:
        suite.append(_case(case, one_line(_class(report) + within), report, options))
    return suite


def _case(case: Case, classname: str, report: Report, options: OutputOptions) -> TestCase:
    seconds = case.seconds
    found = TestCase(one_line(case.name), classname, None if seconds is None else round(seconds, 3))
    found.result = _results(case)
    for result in found.result:
        result.text = "\n".join(map(printable, _told(case, report)))
    counted = {one_line(name): one_line(text) for name, text in numbers(case).items()}
    found.system_out = "".join(f"{name}: {text}\n" for name, text in counted.items())
    if options.junit_properties:
        for name, text in counted.items():
            found.add_property(name, text)
    return found


def _end(classname: str, report: Report) -> TestCase:
    """Return a case that fails because the run has not ended, which no other case says."""
    found = TestCase(f"end of losttick {report.command}", classname, 0.0)
    found.result = [Error(one_line(f"it has not ended: {report.interrupted}"), "interrupted")]
    return found


def _results(case: Case) -> list[FinalResult]:
    why = one_line(case.why)
    match case.status:
        case Status.PASSED:
            return []
        case Status.SKIPPED:
            return [Skipped(why, "accepted" if case.accepted else "skipped")]
        case Status.KNOWN_BUG | Status.FAULT:
            return [Failure(why, str(case.verdict))]
        case Status.HARNESS:
            return [Error(why, "failed")]
        case Status.ERROR:
            return [Error(why, "unexpected" if case.expected else str(case.verdict))]


def _told(case: Case, report: Report) -> Iterator[str]:
    """Yield the lines that a person reads who sees the case fail."""
    yield from report.changes
    yield case.meaning
    if case.expected:
        yield f"This arm must be {case.expected} for the lab to prove anything."
    for bug in case.known_bugs:
        yield f"{bug.trials} trials look like the {bug.bug.name}."
    if report.interrupted is not None:
        yield f"The run has not ended: {report.interrupted}."
    if report.went_down and report.went_down not in (report.interrupted or ""):
        yield f"The host went down {report.went_down}."
    for trial in case.kept[:_MOST_TRIALS]:
        yield ""
        yield from _trial(trial, report)
    if len(case.kept) > _MOST_TRIALS:
        yield ""
        yield f"{len(case.kept) - _MOST_TRIALS} more are in {report.folder / 'evidence'}."


def _trial(trial: TrialRecord, report: Report) -> Iterator[str]:
    number = "" if trial.number is None else f" {trial.number}"
    yield f"Trial{number}: {trial.outcome}"
    yield from (each.sentence for each in trial.diagnoses)
    if trial.why:
        yield f"{trial.why}."
    yield f"Evidence: {report.folder / (trial.evidence or '')}"
