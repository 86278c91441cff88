"""`losttick fleet plan` and `schema`: what would a fleet run, and what may stand in its file?"""

from collections.abc import Iterable
from itertools import groupby
from pathlib import Path
from typing import Annotated, Any

import typer

from orchestrator.cli.exits import ExitCode, errors_to_exits
from orchestrator.cli.fleet.options import File
from orchestrator.cli.history.options import Db, opened
from orchestrator.cli.options import AsJson
from orchestrator.cli.screen import Screen
from orchestrator.cli.table import Table
from orchestrator.cli.text import Styled, duration, print_json, say, without_commands
from orchestrator.errors import LosttickError
from orchestrator.fleet.fleet_file import Engine
from orchestrator.fleet.load import Loaded, load_fleet, schema_text
from orchestrator.fleet.preview import FleetPreview, HostPreview, preview, scripts
from orchestrator.process.existence import exists, is_hidden
from orchestrator.results.history.place import default_database
from orchestrator.results.printable import one_line


def schema() -> None:
    """Print the JSON Schema of fleet files, for editors."""
    typer.echo(schema_text(), nl=False)


def plan(
    file: File,
    show_scripts: Annotated[
        bool, typer.Option("--scripts", help="Print what is given to the engine, and nothing else.")
    ] = False,
    db: Db = None,
    as_json: AsJson = False,
) -> None:
    """List what a fleet would run, what can't run and why, and the time.

    No host is asked. Whether it can test a cell is known there alone: cells
    that its newest run in the history skipped are named, with the reasons.

    Exit codes: 0; 2 bad fleet file or plan; 3 if the file rules out a task.
    """
    with errors_to_exits(as_json=as_json):
        loaded = load_fleet(file)
        if show_scripts:
            _print_scripts(loaded, as_json=as_json)
            raise typer.Exit(ExitCode.CLEAN)
        found = preview(loaded, _skipped(loaded, db))
        if as_json:
            print_json(_described(found))
        else:
            _print(Screen(), loaded, found)
        cannot = any(len(host.can_run) < len(host.tasks) for host in found.hosts)
    raise typer.Exit(ExitCode.UNFIT if cannot else ExitCode.CLEAN)


def _skipped(loaded: Loaded, db: str | None) -> Iterable[tuple[str, int, str, str]]:
    """Return what the newest runs of hosts skipped; nothing if there is no history."""
    try:
        named = db or loaded.history or default_database()
        if "://" not in named and not (exists(Path(named)) or is_hidden(Path(named))):
            return ()
        return list(opened(named).skipped_last())
    except LosttickError as error:
        say(f"{error} What hosts skipped before is left out.")
        return ()


def _print_scripts(loaded: Loaded, *, as_json: bool) -> None:
    made = scripts(loaded, loaded.base / loaded.fleet.out / "TIME")
    if as_json:
        print_json(made)
        return
    for name, text in made.items():
        lines = "\n".join(map(one_line, [f"# {name}", *text.splitlines()]))
        print(without_commands(lines), end="\n\n")


def _print(screen: Screen, loaded: Loaded, found: FleetPreview) -> None:
    cells = Table(("cell", "expected"))
    for cell, seconds in found.cells:
        cells.add(cell.id, duration(seconds))
    screen.table(cells)
    screen.space()
    hosts = Table(("host", "kernels", "expected", "what can't run"))
    for alike in _alike(found.hosts):
        first = alike[0]
        name = first.name if len(alike) == 1 else f"{first.name} and {len(alike) - 1:,} like it"
        hosts.add(
            name, ", ".join(task.kernel for task in first.can_run), duration(first.expected_s),
            Styled("; ".join(_cannot(first)), "yellow"),
        )  # fmt: skip
    screen.table(hosts)
    screen.space()
    runs = sum(len(host.can_run) for host in found.hosts)
    screen.prose(
        f"{_count(runs, 'run')} of {_count(len(found.cells), 'cell')} on "
        f"{_count(len(found.hosts), 'host')}. If no tick is lost, a run takes about "
        f"{duration(found.run_s)}, and the fleet about "
        f"{duration(found.expected_s)} once every host is free; boots are not counted."
    )
    if found.unbootable:
        how = "boot_entry" if loaded.fleet.engine is Engine.SSH else "feature"
        verb = "needs a host that runs" if len(found.unbootable) == 1 else "need hosts that run"
        screen.prose(
            f"{_count(len(found.unbootable), 'run')}, such as {found.unbootable[0]}, {verb} the "
            f"kernel already: the file names no {how} for it."
        )
    screen.prose("No host was asked: each one skips the cells that it can't test, and says why.")


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def _alike(hosts: Iterable[HostPreview]) -> Iterable[list[HostPreview]]:
    """Return neighbouring hosts that would run the same."""
    for _, alike in groupby(hosts, _essence):
        yield list(alike)


def _essence(host: HostPreview) -> tuple[object, ...]:
    cannot = [] if all(not task.why_not for task in host.tasks) else [host.name]
    return (
        [task.kernel for task in host.can_run], cannot,
        [(each.cell, each.why, each.run) for each in host.skipped],
    )  # fmt: skip


def _cannot(host: HostPreview) -> Iterable[str]:
    yield from (task.why_not for task in host.tasks if task.why_not)
    yield from (f"{each.cell} (run {each.run} skipped it: {each.why})" for each in host.skipped)


def _described(found: FleetPreview) -> dict[str, Any]:
    unbootable = set(found.unbootable)
    return {
        "cells": [
            {"id": cell.id, "expected_s": round(seconds, 1)} for cell, seconds in found.cells
        ],
        "run_s": round(found.run_s, 1),
        "expected_s": round(found.expected_s, 1),
        "hosts": [
            {
                "host": host.name,
                "expected_s": round(host.expected_s, 1),
                "tasks": [
                    {
                        "task": task.id,
                        "kernel": task.kernel,
                        "release": task.boots.release if task.boots else None,
                        "why_not": task.why_not or None,
                        "must_run_already": task.id in unbootable,
                    }
                    for task in host.tasks
                ],
                "skipped_before": [
                    {"run": each.run, "cell": each.cell, "why": each.why} for each in host.skipped
                ],
            }
            for host in found.hosts
        ],
    }
