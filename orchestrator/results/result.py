"""A result, read from the folder of a finished or an interrupted run."""

from dataclasses import replace
from pathlib import Path

from orchestrator.errors import InputError
from orchestrator.journal.file import JOURNAL, is_being_written
from orchestrator.journal.fold import read_state
from orchestrator.verdict.run import RunResult, judge_run

#: The reason why a run has not ended whose journal is still being written.
STILL_GOES_ON = "it still goes on, in another process"


class NoResultError(InputError):
    """A folder has no run that can be read."""


def read_result(folder: Path) -> RunResult:
    """Return the run whose output is in a folder, as `run_plan` returned it.

    The verdicts of an interrupted run are based on the trials until then.

    Raises:
        NoResultError: there is no journal.
        JournalFormatError: the journal can't be understood, with the line and the reason.
    """
    journal = folder / JOURNAL
    try:
        result = judge_run(read_state(journal), journal)
        if result.interrupted is not None and is_being_written(journal):
            result = replace(result, interrupted=STILL_GOES_ON)
    except OSError as error:
        raise NoResultError(f"reading the run in {folder}: {JOURNAL}: {error.strerror}") from error
    return result
