"""The exit code of a collected fleet."""

from collections.abc import Collection
from enum import StrEnum

from orchestrator.fleet.collect import Collected
from orchestrator.results.comparison.compare import Answer
from orchestrator.results.exit_code import ExitCode, FailOn, gravest


class FleetFailOn(StrEnum):
    """A kind of result for which the exit code is not 0."""

    AFFECTED = "affected"
    ANOMALOUS = "anomalous"
    FAILED = "failed"
    INCONCLUSIVE = "inconclusive"
    SKIPPED = "skipped"
    WORSE = "worse"
    """A kernel is worse than the first one."""
    CANT_TELL = "cant-tell"
    """It can't be told how a kernel stands to the first one."""


#: The kinds that count if none is named.
DEFAULT = frozenset(FleetFailOn) - {FleetFailOn.CANT_TELL}

_OF_TASKS = {FleetFailOn(each.value): each for each in FailOn}


def fleet_exit(found: Collected, fail_on: Collection[FleetFailOn]) -> ExitCode:
    """Return the exit code: that of the gravest task, or 1 if a kernel is worse.

    A task whose run is missing, damaged or of another kernel is a failure of the harness.
    """
    kinds = [_OF_TASKS[each] for each in fail_on if each in _OF_TASKS]
    codes = [gravest(found.codes, kinds) if kinds else ExitCode.CLEAN]
    answers = {cell.answer for cell in found.answer.cells}
    if FleetFailOn.WORSE in fail_on and Answer.WORSE in answers:
        codes.append(ExitCode.AFFECTED)
    if FleetFailOn.CANT_TELL in fail_on and Answer.CANT_TELL in answers:
        codes.append(ExitCode.INCONCLUSIVE)
    return gravest(codes)
