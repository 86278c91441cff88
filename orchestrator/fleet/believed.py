"""The exit code of a task: its journal's, whatever the engine or the host says."""

from pathlib import Path

from orchestrator.errors import LosttickError
from orchestrator.results.exit_code import ExitCode, result_exit
from orchestrator.results.result import read_result
from orchestrator.verdict.run import RunResult

#: Codes with which losttick ends when a run came to its end and was judged.
JUDGED = frozenset({
    ExitCode.CLEAN, ExitCode.AFFECTED, ExitCode.UNFIT, ExitCode.ANOMALOUS, ExitCode.INCONCLUSIVE,
})  # fmt: skip


def believed(code: int, run: RunResult) -> int:
    """Return the exit code of a run that came to its end.

    Args:
        code: what the engine or the host says that losttick ended with.
        run: as its journal has it. A verdict is what that says, and never what a code says.
    """
    return result_exit(run.ends) if code in JUDGED else code


def run_that_ended(folder: Path) -> RunResult | None:
    """Return the run in a folder; None if it did not come to its end, or can't be read.

    A run that gave cells up, such as for a control that could not be taken, came to its end.
    """
    try:
        run = read_result(folder)
    except (OSError, LosttickError):
        return None
    return run if run.interrupted is None else None
