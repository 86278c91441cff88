"""What the history keeps of a run, computed from its journal."""

import contextlib
import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orchestrator.findings.outcome import TICKED, Outcome
from orchestrator.host.facts import HostFacts
from orchestrator.journal.out_folder import OutFolder
from orchestrator.process.existence import is_folder
from orchestrator.results.comparison.arm import NoArmError, arm_of
from orchestrator.results.direct import is_direct
from orchestrator.results.history.packed import pack
from orchestrator.results.history.place import HistoryError
from orchestrator.results.report import run_identity
from orchestrator.results.result import read_result
from orchestrator.verdict.run import CellResult, RunResult
from orchestrator.verdict.verdict import Verdict

#: Bins of a period in which first ticks are counted.
BINS = 20

#: The file in a run's folder that says its labels and the name of its host: the journal does not.
ABOUT = "history.json"

_MOST_ABOUT = 1 << 20

#: Most characters of a label or of the name of a host.
_MOST_NAME = 200

#: A label that could be taken for something else where runs are named.
_NAME = re.compile(r"[\w.:+-]+")


@dataclass(frozen=True, slots=True)
class Entry:
    """A run, as it is written into the history."""

    run: dict[str, Any]
    cells: list[dict[str, Any]]
    labels: tuple[str, ...] = ()
    trials: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class About:
    """What the user says of a run."""

    labels: tuple[str, ...] = ()
    host: str = ""


def entry(folder: Path, about: About = About()) -> Entry:
    """Return the run in a folder, for the history.

    Args:
        folder: of the run.
        about: labels and the name of the host; what was said of the run before holds, too.

    Raises:
        NoArmError: the folder has a direct test.
        NoResultError: there is no journal.
        JournalFormatError: the journal can't be understood.
    """
    if is_direct(folder):
        raise NoArmError(
            f"adding {folder} to the history: it has a direct test, and the history keeps runs "
            "that load snapshots"
        )
    result = read_result(folder)
    known = _known(folder)
    about = About(tuple(dict.fromkeys((*known.labels, *about.labels))), about.host or known.host)
    return entry_of(folder, result, about)


def checked_name(name: str, what: str) -> str:
    """Return a label, or the name of a host.

    Raises:
        HistoryError: it is empty, too long, a number, or has characters that a name can't have.
    """
    if not _NAME.fullmatch(name) or len(name) > _MOST_NAME or name.isdecimal():
        raise HistoryError(
            f"naming a {what}: {name!r} is not a name. Use at most {_MOST_NAME} letters, digits "
            "and the characters . _ : + -, and not digits alone"
        )
    return name


def keep_about(folder: Path, about: About) -> None:
    """Write labels and host into a run's folder, so that the history can be made anew from it.

    Nothing is written for a bundle, or into a folder that can't be written to.
    """
    if not is_folder(folder) or about == About():
        return
    known = _known(folder)
    labels = list(dict.fromkeys((*known.labels, *about.labels)))
    text = json.dumps({"labels": labels, "host": about.host or known.host}, indent=1)
    # Who can write to the folder may have put a link there.
    with contextlib.suppress(OSError), OutFolder(folder, shared=True) as held:
        held.replace(ABOUT, text + "\n")


def _known(folder: Path) -> About:
    """Return what was said of a run before; nothing if the file is not as it should be."""
    try:
        path = folder / ABOUT
        if path.is_symlink() or path.stat().st_size > _MOST_ABOUT:
            return About()
        found = json.loads(path.read_bytes())
        labels = tuple(checked_name(str(each), "label") for each in found["labels"])
        host = checked_name(str(found["host"]), "host") if found["host"] else ""
    except (OSError, ValueError, LookupError, TypeError, RecursionError, HistoryError):
        return About()
    return About(labels, host)


def host_key(machine: str, facts: HostFacts) -> str:
    """Return the key of a host: its hashed machine id, with family, model and stepping of its CPU.

    Clock rates and bogomips change from boot to boot; kernel, microcode and QEMU are values that
    are compared.
    """
    model = re.sub(r"[^\w.-]+", ".", f"{facts.vendor}-{facts.family_model_stepping}").strip(".")
    return f"{machine[:12] or 'unknown'}:{model}"


def entry_of(folder: Path, result: RunResult, about: About) -> Entry:
    """Return a run that was read, for the history; what its folder says of labels is not asked."""
    arm = arm_of(result, "")
    tested = {cell.id: cell for cell in arm.cells}
    rows: list[dict[str, Any]] = []
    for place, each in enumerate(result.cells):
        cell, counts = tested.get(each.cell.id), each.counts
        rows.append(
            {
                "cell": each.cell.id,
                "alike": each.cell.like,
                "place": place,
                "verdict": str(each.verdict),
                "finding": finding(each),
                "why": each.why,
                "trials": counts.trials,
                "lost": each.losses.lost,
                "unresolved": each.losses.unresolved,
                "planned": each.losses.planned,
                "rule_out": repr(each.rule_out),
                "loads_per_save": counts.by_save.loads_per_save,
                "period_ns": counts.period_ns,
                "blind": cell.blind if cell else "",
                "outcomes": {str(name): count for name, count in counts.outcomes.items()},
                "facts": dict(cell.facts) if cell else {},
                "first_ticks": histogram(counts.first_tick_periods),
                "save_classes": counts.save_ticks.saves_by_class,
                "saves": pack(counts.by_save, counts.save_ticks),
            }
        )
    run = {
        "identity": run_identity(folder),
        "folder": str(folder.absolute()),
        "host": about.host or host_key(result.machine, result.facts),
        "machine": result.machine,
        "command": "lab run" if any(each.lab for each in result.cells) else "run",
        "verdict": str(result.verdict),
        "losttick": result.losttick,
        "began_at": result.began_at,
        "ended_at": result.ended_at,
        "unfinished": result.interrupted or "",
        "untested": dict(arm.untested),
    }
    trials = sum(row["trials"] for row in rows)
    return Entry(_clean(run), [_clean(row) for row in rows], about.labels, trials)


def _clean(value: Any) -> Any:
    """Return a value whose texts every database can hold: without NUL, and in UTF-8."""
    match value:
        case str() if value.isascii() and "\0" not in value:  # nearly all are
            return value
        case str():
            return value.replace("\0", "\N{SYMBOL FOR NULL}").encode(errors="replace").decode()
        case dict():
            return {_clean(name): _clean(each) for name, each in value.items()}
    return value


def histogram(periods: Sequence[float]) -> dict[str, int]:
    """Return how many first ticks came in each twentieth of a period, by the bin's number."""
    counts = Counter(int(each * BINS) for each in periods)
    return {str(number): counts[number] for number in sorted(counts)}


def finding(result: CellResult) -> str:
    """Return what went wrong in a cell, in words that stay; empty if nothing did.

    Two findings are the same if these words are.
    """
    if result.verdict is Verdict.AFFECTED:
        return "known bug"
    if result.verdict is not Verdict.ANOMALOUS:
        return ""
    usual = TICKED | {Outcome.UNKNOWN}
    odd = sorted(str(outcome) for outcome in result.classes if outcome not in usual)
    return ", ".join(odd) or "anomalous"
