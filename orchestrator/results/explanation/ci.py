"""The explanation for a CI job: the exit code, why, whether to retry, and which cells."""

import json
import shlex
from collections import Counter
from collections.abc import Sequence

from orchestrator.results.exit_code import GRAVITY, ExitCode, cell_exit, result_exit
from orchestrator.results.explanation.answer import is_lab, may_be_the_bug
from orchestrator.results.explanation.counted import asked, telling
from orchestrator.results.explanation.text import Block, Commands, Section
from orchestrator.results.report import Case, Report
from orchestrator.results.result import STILL_GOES_ON
from orchestrator.verdict.run import CellResult, RunResult
from orchestrator.verdict.verdict import Verdict

#: What each code says of a result.
_MEANS = {
    ExitCode.CLEAN: "everything that was asked for was tested, and nothing was lost",
    ExitCode.AFFECTED: "losses were diagnosed as the known bug",
    ExitCode.UNFIT: "something that was asked for can't run on this host, and the rest is clean",
    ExitCode.HARNESS: "losttick or its QEMU failed",
    ExitCode.ANOMALOUS: "ticks went wrong, but not by the known bug",
    ExitCode.INCONCLUSIVE: "no statement is possible",
}


def for_ci(report: Report) -> Sequence[Section]:
    """Return the exit code, whether to retry, and the cells with their codes."""
    code = exit_code(report)
    return (
        Section("", (_opening(report, code),)),
        Section("Retry", _retry(report, code)),
        Section("Cells" if report.command.endswith("run") else "Hosts", _cells(report)),
        Section(
            "Exit code",
            (
                "The gravest cell decides, in the order "
                f"{', '.join(str(int(each)) for each in GRAVITY)}. With `--fail-on KIND` "
                "(affected, anomalous, failed, inconclusive, skipped; repeatable), only these "
                "kinds end with a code other than 0.",
            ),
        ),
    )


def exit_code(report: Report) -> ExitCode:
    """Return the code with which the command ended, or would end now."""
    return result_exit(report.result.ends)


def _opening(report: Report, code: ExitCode) -> str:
    counts = Counter(cell_exit(each.ended) for each in asked(report))
    number, total = counts[code], len(asked(report))
    kind = "cell" if isinstance(report.result, RunResult) else "host"
    of = f"{number} of {total} {kind}{'s' * (total > 1)}" if number else "the run as a whole"
    said = f"Exit code {int(code)} (`{report.verdict}`): {_MEANS[code]}, in {of}."
    if report.interrupted is not None:
        said += (
            f" The run has not ended ({report.interrupted.rstrip('.')}); its own code was "
            f"{int(ExitCode.INTERRUPTED)} if a signal ended it."
        )
    down = f" The host went down {report.went_down}." if report.went_down else ""
    return said + down


def _retry(report: Report, code: ExitCode) -> tuple[Block, ...]:
    """Return whether a job should try again, and how."""
    if report.interrupted == STILL_GOES_ON:
        return ("No: the run still goes on. Wait for its end.",)
    if report.went_down:
        return ("No: look at why the host went down first. The next trial may do it again.",)
    if report.interrupted is not None and code not in (ExitCode.AFFECTED, ExitCode.ANOMALOUS):
        if report.command == "run":
            return (
                "Yes: continue the run. Its trials so far count.",
                Commands((f"losttick run --resume {_quoted(report)}",)),
            )
        return ("Yes: start it again. Only `losttick run` can be resumed.",)
    match code:
        case ExitCode.AFFECTED:
            return (
                "No. The loss was diagnosed, and a run that ends otherwise would not take it back. "
                "Report the kernel, with `losttick explain --for developer` or a bundle.",
            )
        case ExitCode.ANOMALOUS if may_be_the_bug(report):
            trials = 10 * max((each.trials for each in telling(report)), default=300)
            return (
                "Once, to learn more: the losses may be the known bug, seen too rarely to be sure. "
                f"Run it again with `--trials {trials}` on an idle host. This result stays a "
                "failure, whatever the next one is.",
            )
        case ExitCode.ANOMALOUS:
            return (
                "No. Ticks went wrong, and a job that is repeated until it is green hides that. "
                "Keep the output folder; its evidence has the details.",
            )
        case ExitCode.HARNESS:
            return (
                "Once. If it fails again, the host is not set up well: `losttick doctor` says "
                "what is wrong, and the cells below say what failed.",
            )
        case ExitCode.INCONCLUSIVE if is_lab(report) and not telling(report):
            return (
                "Once, with nothing else on the host. An arm whose answer is known gave another "
                "one, so this lab proves nothing about the other kernels.",
            )
        case ExitCode.INCONCLUSIVE:
            return (_INCONCLUSIVE[frozenset(map(_ends_alike, _inconclusive(report)))],)
        case ExitCode.UNFIT:
            lacks = _lacks(report)
            accept = f" Or let the plan accept it: `accept_skips = {lacks}`." if lacks else ""
            return (
                "No: the host lacks the same the next time. `losttick doctor` names what would "
                f"mend it.{accept}",
            )
    return ("No: there is nothing to retry.",)


#: Whether to retry, by whether each inconclusive cell would end alike on an idle host.
_INCONCLUSIVE = {
    frozenset({False}): (
        "Once, when the host has nothing else to do. If that ends alike, the reason below says "
        "what to change."
    ),
    frozenset({True}): (
        "No. Nothing failed and the host had time: the same plan ends alike again. The reason "
        "below says what to change, such as more trials, or controls."
    ),
    frozenset({True, False}): (
        "Once, when the host has nothing else to do, for cells whose reason is the host's load. "
        "Others end alike again: their reason says what to change, such as more trials."
    ),
    frozenset(): "Once, when the host has nothing else to do.",
}


def _inconclusive(report: Report) -> Sequence[CellResult]:
    if not isinstance(report.result, RunResult):
        return ()
    names = {case.name for case in asked(report) if case.verdict is Verdict.INCONCLUSIVE}
    return [each for each in report.result.cells if each.cell.id in names]


def _ends_alike(cell: CellResult) -> bool:
    """Return whether an inconclusive cell would end alike on an idle host, by its plan.

    Attempts that end unknown, controls that are not seen, late ticks and a used-up time come from
    the host's load.
    """
    counts = cell.counts
    seen = all(control.seen for control in counts.controls)
    busy = counts.unknown_attempts or counts.pairing.began or counts.out_of_time or not seen
    return counts.failure is None and not counts.control_missing and not busy


def _lacks(report: Report) -> str:
    """Return the axes for whose values cells were skipped, as a plan has them; empty if none."""
    if not isinstance(report.result, RunResult) or is_lab(report):
        return ""
    cells = report.result.cells
    found = {each.counts.lacks for each in cells if each.verdict is Verdict.SKIPPED}
    lacks = sorted(each for each in found if each)
    return json.dumps(lacks) if lacks else ""


def _quoted(report: Report) -> str:
    return shlex.quote(str(report.folder))


def _cells(report: Report) -> tuple[str, ...]:
    """Return a paragraph for each case, the gravest first."""

    def gravity(case: Case) -> int:
        return GRAVITY.index(cell_exit(case.ended))

    ordered = sorted(report.cases, key=gravity)
    return tuple(f"{each.name}: {_verdict(each)}: {each.why.rstrip('.')}." for each in ordered)


def _verdict(case: Case) -> str:
    """Return the verdict of a case, with its exit code or the reason why it has none."""
    code = int(cell_exit(case.ended))
    if case.accepted:
        return f"{case.verdict}, which the plan accepts"
    if case.expected is not None:
        as_expected = case.verdict is case.expected
        known = "as it must be" if as_expected else f"but it must be {case.expected}"
        return f"{case.verdict}, {known} (an arm with a known answer is no finding)"
    failed = ", and the harness failed" if case.ended.failed else ""
    return f"{case.verdict} (exit code {code}{failed})"
