"""The result of a direct test, read from its folder, and the object that `--json` prints."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from orchestrator.host.boot import boot_here
from orchestrator.host.facts import HostFacts
from orchestrator.journal.direct import read_direct_state
from orchestrator.journal.file import JOURNAL, is_being_written, read_journal
from orchestrator.journal.plain import plain
from orchestrator.journal.records import DirectRecord
from orchestrator.results.packed_facts import packer_saw_it_go_down
from orchestrator.results.result import STILL_GOES_ON, NoResultError
from orchestrator.verdict.direct import DirectResult, HostResult, SeriesResult, judge_direct


def is_direct(folder: Path) -> bool:
    """Return whether the journal in a folder is that of a direct test.

    Raises:
        NoResultError: there is no journal.
        JournalFormatError: the journal can't be understood.
    """
    try:
        return isinstance(next(read_journal(folder / JOURNAL), None), DirectRecord)
    except OSError as error:
        raise NoResultError(f"reading the run in {folder}: {JOURNAL}: {error.strerror}") from error


def read_direct_result(folder: Path) -> DirectResult:
    """Return the direct test whose output is in a folder, as `run_direct` returned it.

    Raises:
        OSError: the journal can't be read.
        JournalFormatError: the journal can't be understood.
    """
    journal = folder / JOURNAL
    state = read_direct_state(journal)
    result = judge_direct(state, journal)
    if result.interrupted is not None and is_being_written(journal):
        return replace(result, interrupted=STILL_GOES_ON)
    if state.went_down and (state.boot.ended_before(boot_here()) or packer_saw_it_go_down(folder)):
        where = state.went_down
        return replace(result, interrupted=f"the host went down {where}", went_down=where)
    return result


def direct_summary(result: DirectResult) -> dict[str, Any]:
    """Return the verdicts of a direct test, with their counts and reasons, as plain data."""
    return {
        "verdict": result.verdict.value,
        "mode": result.mode,
        "interrupted": result.interrupted,
        "went_down": result.went_down or None,
        "hosts": [_host(host) for host in result.hosts],
        "journal": str(result.journal),
    }


def _host(host: HostResult) -> dict[str, Any]:
    return {
        "name": host.name,
        "verdict": host.verdict.value,
        "why": host.why,
        "exposure": plain(host.exposure),
        "series": [_series(each) for each in host.series],
        "control": _series(host.control) if host.control else None,
        "host": _facts(host.facts) if host.facts else None,
        **({"lab": plain(host.lab)} if host.lab else {}),
    }


def _series(result: SeriesResult) -> dict[str, Any]:
    return {**plain(result.series), "loss_rate": plain(result.loss_rate)}


def _facts(facts: HostFacts) -> dict[str, Any]:
    found: dict[str, Any] = plain(facts)
    return found
