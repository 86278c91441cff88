"""Checks that must hold after a round, whatever was done to its run."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from orchestrator.findings.outcome import Outcome
from orchestrator.process import folder
from orchestrator.verdict.run import RunResult
from orchestrator.verdict.verdict import Verdict
from tests.support.chaos.place import Place
from tests.support.processes import marked_processes, wait_until

#: How long programs whose supervisor was told to end them may take to be gone, in seconds.
GONE_S = 10

ACCUSING = frozenset({Verdict.AFFECTED, Verdict.ANOMALOUS})


def wrong_verdicts(result: RunResult) -> list[str]:
    """Return what the run accuses its host of: the host has no fault but the round's."""
    found = [
        f"{cell.cell.id}: {cell.verdict}: {cell.why}"
        for cell in result.cells
        if cell.verdict in ACCUSING
    ]
    return found + [
        f"{cell.cell.id}: {cell.counts.outcomes[Outcome.LOST]} lost"
        for cell in result.cells
        if cell.counts.outcomes[Outcome.LOST]
    ]


def records_in(journal: Path) -> Iterator[dict[str, Any]]:
    """Yield the records of a journal, read without losttick's own code."""
    for line in journal.read_bytes().split(b"\n")[:-1]:
        yield json.loads(line)


def counted_twice(result: RunResult) -> list[str]:
    """Return the trials that were counted more than once, or that nobody ran."""
    found = []
    loads, attempts, lines = Counter[tuple[str, str]](), Counter[str](), Counter[str]()
    saves: list[tuple[str, str]] = []
    overdue: set[str] = set()
    for record in records_in(result.journal):
        if record["record"] == "restart":
            found.append(f"{record['cell']} began again: {record['why']}")
        if record["record"] == "overdue":
            overdue.add(record["cell"])
        if record["record"] == "resumed":  # the last session did not live to see how they went
            attempts.update(overdue)
            overdue.clear()
        if record.get("role", "host") != "host":
            continue
        if record["record"] == "save" and not any(
            part.get("ineligible") for part in record["save"]["vcpus"]
        ):
            saves.append((record["cell"], record["save"]["tag"]))
            overdue.discard(record["cell"])
        if record["record"] == "trial":
            loads[record["cell"], record["save"]] += 1
            attempts[record["cell"]] += 1
            overdue.discard(record["cell"])
            lines[json.dumps(record, sort_keys=True)] += 1
    found += [f"{tag} of {cell} was saved twice" for cell, tag in _twice(saves)]
    found += [f"the same line {count} times: {line}" for line, count in lines.items() if count > 1]
    for cell in result.cells:
        name, most = cell.cell.id, cell.cell.loads_per_save
        found += [
            f"{tag} of {name} was loaded {count} times, and {most} were planned"
            for (of, tag), count in loads.items()
            if of == name and count > most + 1  # the last load is examined once more
        ]
        if cell.counts.attempts != attempts[name]:
            found.append(
                f"{name}: {cell.counts.attempts} attempts counted, {attempts[name]} journalled"
            )
    return found


def _twice(names: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    return [name for name, count in Counter(names).items() if count > 1]


def left_behind(place: Place, *, folders: int) -> list[str]:
    """Return the processes and the files that are left of a round.

    Args:
        place: of the round.
        folders: how many of QEMU's folders may be left to the next run, because nobody
            lived to remove them. They are removed here as the next run would.
    """
    found = []
    if not wait_until(lambda: not marked_processes(place.marker), GONE_S):
        found += [f"process {pid}: {line}" for pid, line in marked_processes(place.marker).items()]
    swept = folder.sweep(place.qemus)
    folder.sweep(Path("/dev/shm"))  # the place of QEMUs that found their own disk full
    if len(swept) > folders:
        found.append(f"{len(swept)} folders of QEMUs, of which {folders} had lost all that live")
    for place_of in (place.qemus, place.temporary):
        found += [str(path) for path in place_of.iterdir()]
    names = {path.name for path in swept}
    sockets = Path("/proc/net/unix").read_text().splitlines()
    found += [
        line for line in sockets if str(place.folder) in line or any(n in line for n in names)
    ]
    return found


def wrongly_announced(result: RunResult, events: Path) -> list[str]:
    """Return the cells whose attempts were announced before they were journalled, or never.

    A session that ends between the two announces one attempt less in each cell.
    """
    announced, sessions = Counter[str](), 0
    for line in events.read_bytes().split(b"\n")[:-1]:
        event = json.loads(line)
        sessions += event["event"] == "run_begins"
        if event["event"] == "attempt_ends":
            announced[event["cell"]] += 1
    return [
        f"{cell.cell.id}: {cell.counts.attempts} attempts, of which {heard} were announced"
        for cell in result.cells
        for heard in [announced[cell.cell.id]]
        if not cell.counts.attempts - sessions <= heard <= cell.counts.attempts
    ]


def paused_s(result: RunResult) -> float:
    """Return for how long the sessions of a run paused, in seconds."""
    return sum(r["ns"] for r in records_in(result.journal) if r["record"] == "pause") / 1e9


def unfinished(result: RunResult, planned: int) -> list[str]:
    """Return the cells that have fewer trials than were planned."""
    return [
        f"{cell.cell.id}: {cell.counts.trials} of {planned} trials: {cell.why}"
        for cell in result.cells
        if cell.counts.trials < planned
    ]
