"""A result, read from the folder of a finished or an interrupted run."""

from dataclasses import replace
from pathlib import Path

from orchestrator.errors import InputError
from orchestrator.host.boot import boot_here
from orchestrator.host.local_facts import cpu_here
from orchestrator.journal.file import JOURNAL, is_being_written
from orchestrator.journal.fold import RunState, read_state
from orchestrator.results.packed_facts import packer_saw_it_go_down
from orchestrator.verdict.run import RunResult, judge_run

#: The reason why a run has not ended whose journal is still being written.
STILL_GOES_ON = "it still goes on, in another process"


class NoResultError(InputError):
    """A folder has no run that can be read."""


def read_result(folder: Path) -> RunResult:
    """Return the run whose output is in a folder, as `run_plan` returned it.

    The verdicts of an interrupted run are based on the trials until then. If this computer went
    down during the run, the result says in which trial; so does a bundle that was packed there.

    Raises:
        NoResultError: there is no journal.
        JournalFormatError: the journal can't be understood, with the line and the reason.
    """
    journal = folder / JOURNAL
    try:
        state = read_state(journal)
        result = judge_run(state, journal)
        if result.interrupted is not None and is_being_written(journal):
            return replace(result, interrupted=STILL_GOES_ON)
    except OSError as error:
        raise NoResultError(f"reading the run in {folder}: {JOURNAL}: {error.strerror}") from error
    if where := _went_down(state, folder):
        return replace(result, interrupted=f"the host went down {where}", went_down=where)
    return result


def _went_down(state: RunState, folder: Path) -> str:
    """Return in which trial of an unfinished run its host went down; empty if in none.

    This is known on that host, and to the packer of a bundle.
    """
    if not state.went_down or state.verdict is not None:
        return ""
    same = state.facts.cpu == cpu_here() and state.boot.ended_before(boot_here())
    return state.went_down if same or packer_saw_it_go_down(folder) else ""
