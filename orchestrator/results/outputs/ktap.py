"""KTAP, version 1: the kernel's own form of test results.

Each run is a test, and its cells are the subtests of the test. The format is described in the
kernel's Documentation/dev-tools/ktap.rst, and read by tools/testing/kunit/kunit_parser.py.
"""

import re
from collections.abc import Iterable, Iterator, Sequence

from orchestrator.results.outputs.about import about_case, about_run
from orchestrator.results.outputs.output import OutputOptions
from orchestrator.results.printable import one_line
from orchestrator.results.report import Report
from orchestrator.results.run_names import run_names
from orchestrator.results.status import Status

VERSION = "KTAP version 1"

_INDENT = "  "

#: Words of a console at which the kernel's parser takes the results to be over.
_ENDS = re.compile(
    r"(List|Kernel|reboot:) (?=of all partitions:|panic - not syncing: VFS:|System halted)"
)


def opening(count: int, depth: int = 0, name: str = "") -> list[str]:
    """Return the lines that begin some tests, or the named test's subtests."""
    header = [f"# Subtest: {described(name)}"] if name else []
    return _indented([VERSION, *header, f"1..{count}"], depth)


def diagnostic(text: str, depth: int = 0) -> str:
    """Return a line of diagnostics. Nothing in the text can be taken for a result."""
    return f"{_INDENT * depth}# {_harmless(text)}"


def result(number: int, name: str, status: Status, why: str, depth: int = 0) -> str:
    """Return the line that ends a test.

    Args:
        number: of the test, among those of its parent.
        name: of the test.
        status: what became of it.
        why: the reason, which is given for a test that was skipped or could not be done.
        depth: how many tests it is part of.
    """
    line = f"{number} {described(name)}"
    reason = _harmless(why).replace("#", r"\x23")
    match status:
        case Status.PASSED:
            line = f"ok {line}"
        case Status.SKIPPED:
            line = f"ok {line} # SKIP {reason}"
        case Status.KNOWN_BUG | Status.FAULT:
            line = f"not ok {line}"
        case Status.ERROR | Status.HARNESS:
            line = f"not ok {line} # ERROR {reason}"
    return f"{_INDENT * depth}{line.rstrip()}"


def described(name: str) -> str:
    """Return a name as a description, which can hold no `#` and does not begin with a dash."""
    text = _harmless(name).strip().replace("#", r"\x23")
    return r"\x2d" + text[1:] if text.startswith("-") else text


class Ktap:
    """Results as KTAP."""

    def render(self, reports: Sequence[Report], options: OutputOptions) -> bytes:
        """Return a test for each run, with a subtest for each of its cells."""
        lines = opening(len(reports))
        # The name of the folder often has the time in it, and the name of a test should stay.
        names = [f" {name}" for name in run_names(reports)] if len(reports) > 1 else [""]
        for number, (report, name) in enumerate(zip(reports, names, strict=False), 1):
            lines += _run(number, report, f"losttick {report.command}{name}")
        return "".join(f"{line}\n" for line in lines).encode()


def _run(number: int, report: Report, name: str) -> Iterator[str]:
    cases = report.cases
    yield from opening(len(cases), 1, name)
    for place, case in enumerate(cases, 1):
        yield from (diagnostic(text, 1) for text in about_case(case, report))
        yield result(place, case.name, case.status, case.why, 1)
    yield from map(diagnostic, about_run(report))
    why = "nothing could be tested" if report.status is Status.SKIPPED else report.meaning
    if report.cut_off:
        why = f"it has not ended: {report.interrupted}"
    yield result(number, name, report.status, why)


def _harmless(text: str) -> str:
    return _ENDS.sub(r"\1\\x20", one_line(text))


def _indented(lines: Iterable[str], depth: int) -> list[str]:
    return [_INDENT * depth + line for line in lines]


OUTPUT = Ktap()
