"""The results for GitHub Actions: annotations in the log, and a summary of the step.

Forgejo and Gitea read the same. See "Workflow commands for GitHub Actions" in GitHub's
documentation for the limits: a summary of more than 1 MiB is dropped as a whole, and ten
annotations of a kind are shown for a step.
"""

import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from orchestrator.results.outputs.markdown import cases_table, heading, opening
from orchestrator.results.outputs.markdown_text import code, paragraph, text
from orchestrator.results.outputs.output import OutputOptions, Service
from orchestrator.results.outputs.target import write_error
from orchestrator.results.printable import one_line
from orchestrator.results.report import Case, Report
from orchestrator.results.status import Status

#: The variable that names the file of the step's summary.
SUMMARY = "GITHUB_STEP_SUMMARY"

#: Bytes that the file may have. GitHub's limit is 1 MiB.
MOST_BYTES = 1_000_000

#: Annotations of a kind.
MOST_ANNOTATIONS = 10

#: Bytes of an annotation's text, far below GitHub's 64 KiB.
_MOST_TEXT = 2000

#: Bytes that are kept for the note that says what was left out.
_NOTE = 200

_ERRORS = (Status.KNOWN_BUG, Status.FAULT)
_WARNINGS = (Status.ERROR, Status.HARNESS, Status.SKIPPED)


class _GitHub:
    """Annotations and a summary."""

    def publish(self, reports: Sequence[Report], options: OutputOptions) -> str:
        """Append the summary to the step's file, if there is one; return the annotations."""
        if place := os.environ.get(SUMMARY):
            _append(Path(place), reports)
        return "".join(f"{line}\n" for line in annotations(reports))


OUTPUT: Service = _GitHub()


def summary(reports: Sequence[Report], room: int = MOST_BYTES) -> bytes:
    """Return the summary in Markdown, in at most so many bytes.

    The table of all cells comes first, then the reasons of those that are not clean. What has no
    room is left out, and the end says so.
    """
    parts = [part for report in reports for part in _parts(report)]
    made, left_out = bytearray(), 0
    for part in parts:
        data = f"{part}\n\n".encode()
        if left_out or len(made) + len(data) > room - _NOTE:
            left_out += 1
        else:
            made += data
    if left_out:
        note = f"**{left_out} more parts have no room here.** `losttick show` prints them.\n"
        made += note.encode()
    return bytes(made) if len(made) <= room else b""


def _parts(report: Report) -> Iterator[str]:
    yield heading(report)
    yield from (paragraph(each) for each in report.changes)
    yield from opening(report)
    # Tables of some cells each, so that a part of them has room where all of them have not.
    for first in range(0, len(report.cases), 50):
        yield cases_table(report.cases[first : first + 50])
    for case in report.cases:
        if case.status is not Status.PASSED:
            yield f"{code(case.name)}: **{case.verdict}**: {text(case.why.rstrip('.'))}."
    for case in report.cases:
        for trial in case.kept[:1]:
            yield from (paragraph(each.sentence) for each in trial.diagnoses[:1])
            yield f"Evidence: {code(str(report.folder / (trial.evidence or '')))}"


def annotations(reports: Sequence[Report]) -> Iterator[str]:
    """Yield a line for each case that is not clean, at most ten of a kind."""
    cases = [case for report in reports for case in report.cases]
    down = [report.went_down for report in reports if report.went_down]
    errors = [_annotation("error", "losttick", f"the host went down {where}") for where in down]
    errors += [_of_case("error", case) for case in cases if case.status in _ERRORS]
    warnings = [
        _annotation("warning", "losttick", f"the run has not ended: {report.interrupted}")
        for report in reports
        if report.cut_off
    ]
    warnings += [
        _of_case("warning", case)
        for case in cases
        if case.status in _WARNINGS and not case.accepted
    ]
    for kind, found in (("error", errors), ("warning", warnings)):
        if len(found) <= MOST_ANNOTATIONS:
            yield from found
            continue
        yield from found[: MOST_ANNOTATIONS - 1]
        more = len(found) - MOST_ANNOTATIONS + 1
        yield _annotation(kind, "losttick", f"{more} more cells: see the summary of this step")


def _of_case(kind: str, case: Case) -> str:
    return _annotation(kind, f"losttick: {case.name}", f"{case.verdict}: {case.why}")


def _annotation(kind: str, title: str, message: str) -> str:
    """Return a workflow command, in whose texts nothing can end it or begin another one."""
    message = _escaped(one_line(message)[:_MOST_TEXT])
    title = _escaped(one_line(title)[:_MOST_TEXT]).replace(":", "%3A").replace(",", "%2C")
    return f"::{kind} title={title}::{message}"


def _escaped(words: str) -> str:
    return words.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _append(place: Path, reports: Sequence[Report]) -> None:
    """Append the summary to a file, as a whole or not at all.

    Raises:
        OutputError: it can't be written to.
        TargetError: the disk is full, or failed.
    """
    how = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        fd = os.open(place, how, 0o666)
        try:
            about = os.fstat(fd)
            data = summary(reports, max(MOST_BYTES - about.st_size, 0))
            try:
                while data:
                    data = data[os.write(fd, data) :]
            except OSError:
                if stat.S_ISREG(about.st_mode):
                    os.ftruncate(fd, about.st_size)
                raise
        finally:
            os.close(fd)
    except OSError as error:
        raise write_error(f"the summary of a GitHub step to {place} ({SUMMARY})", error) from error
