"""The table of exit codes, and the code that a result ends with."""

from collections.abc import Collection, Iterable
from enum import IntEnum, StrEnum

from orchestrator.verdict.verdict import Ended, Verdict


class ExitCode(IntEnum):
    """The exit codes of every command. docs/results.md has the same table."""

    CLEAN = 0
    """Every cell is clean, or the command did what it was asked for."""
    AFFECTED = 1
    """The host is affected; or a compared run is worse. Nothing else ends with 1."""
    USAGE = 2
    """Bad usage, a bad plan, or a journal that can't be used."""
    UNFIT = 3
    """Not all that was asked for was fit to run: a cell was skipped, or the host lacks what the
    command needs."""
    HARNESS = 4
    """losttick or its QEMU failed."""
    ANOMALOUS = 5
    INCONCLUSIVE = 6
    INTERRUPTED = 130
    BROKEN_PIPE = 141
    """The reader of the output went away: the code of a program that SIGPIPE ended."""


#: The codes that cells can have, the gravest first.
GRAVITY = (
    ExitCode.AFFECTED, ExitCode.ANOMALOUS, ExitCode.HARNESS, ExitCode.INCONCLUSIVE,
    ExitCode.UNFIT, ExitCode.CLEAN,
)  # fmt: skip


#: The codes that give way to that of an output that could not be written: nothing was found.
_MILDER = (ExitCode.CLEAN, ExitCode.UNFIT, ExitCode.INCONCLUSIVE)


def despite_output(code: ExitCode) -> ExitCode:
    """Return the exit code of a result whose output could not be written.

    Args:
        code: of the result alone, after `--fail-on`: it makes no failed write a success.
    """
    return ExitCode.HARNESS if code in _MILDER else code


class FailOn(StrEnum):
    """A kind of result for which a command can end with an exit code other than 0."""

    AFFECTED = "affected"
    ANOMALOUS = "anomalous"
    FAILED = "failed"
    INCONCLUSIVE = "inconclusive"
    SKIPPED = "skipped"


_KINDS = {
    ExitCode.AFFECTED: FailOn.AFFECTED,
    ExitCode.ANOMALOUS: FailOn.ANOMALOUS,
    ExitCode.HARNESS: FailOn.FAILED,
    ExitCode.INCONCLUSIVE: FailOn.INCONCLUSIVE,
    ExitCode.UNFIT: FailOn.SKIPPED,
}


def gravest(codes: Iterable[ExitCode], fail_on: Collection[FailOn] | None = None) -> ExitCode:
    """Return the code that decides for a command.

    Args:
        codes: of each cell.
        fail_on: the kinds that count; None or none for all of them.
    """
    counted = {code for code in codes if not fail_on or _KINDS.get(code) in fail_on}
    return next((code for code in GRAVITY if code in counted), ExitCode.CLEAN)


def result_exit(cells: Iterable[Ended], fail_on: Collection[FailOn] | None = None) -> ExitCode:
    """Return the exit code of a result: that of its gravest cell.

    Args:
        cells: how each of its cells ended; `ends` of a result has them.
        fail_on: the kinds that count; None or none for all of them.
    """
    return gravest(map(cell_exit, cells), fail_on)


def cell_exit(cell: Ended) -> ExitCode:
    """Return the exit code of one cell. A finding outweighs a failure of the harness."""
    match cell.verdict:
        case Verdict.AFFECTED:
            return ExitCode.AFFECTED
        case Verdict.ANOMALOUS:
            return ExitCode.ANOMALOUS
        case _ if cell.failed:
            return ExitCode.HARNESS
        case Verdict.INCONCLUSIVE:
            return ExitCode.INCONCLUSIVE
        case Verdict.SKIPPED:
            return ExitCode.UNFIT
        case Verdict.CLEAN:
            return ExitCode.CLEAN
