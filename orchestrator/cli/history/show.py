"""`losttick history show`: a run of the history, and what is new in it."""

from dataclasses import asdict
from typing import Annotated

import typer

from orchestrator.cli.exits import ExitCode, errors_to_exits
from orchestrator.cli.history.keep import new_exit
from orchestrator.cli.history.options import Db, opened
from orchestrator.cli.options import AsJson
from orchestrator.cli.screen import Screen
from orchestrator.cli.table import Table
from orchestrator.cli.text import print_json
from orchestrator.results.history.place import load


def show(
    run: Annotated[
        str,
        typer.Argument(
            help="A run's number; a label for its newest run, label~1 for the run before it; or "
            "kernel=VERSION.",
        ),
    ],
    since: Annotated[
        str | None,
        typer.Option(help="Run to compare the findings with.", show_default="the run before"),
    ] = None,
    fail_on_new: Annotated[
        bool, typer.Option("--fail-on-new", help="End with 1 or 5 if a finding is new.")
    ] = False,
    db: Db = None,
    as_json: AsJson = False,
) -> None:
    """Print a run of the history, and what is new in it.

    Findings are compared with those of the run before: new, still there, fixed.
    """
    with errors_to_exits(as_json=as_json):
        history, changing = opened(db), load("changes")
        found = history.find(run)
        changed = changing.changes(history, found, history.find(since) if since else None)
        cells = history.cells(found)
        if as_json:
            print_json(
                {
                    "run": asdict(found),
                    "changes": asdict(changed),
                    "cells": list(map(asdict, cells)),
                }
            )
        else:
            screen = Screen()
            for sentence in changing.sentences(changed):
                screen.prose(sentence)
            screen.space()
            table = Table(
                ("cell", "verdict", "loads", "lost", "kernel"), frozenset({"loads", "lost"})
            )
            for cell in cells:
                table.add(
                    cell.cell, cell.verdict, str(cell.trials), str(cell.lost),
                    cell.facts.get("kernel", ""),
                )  # fmt: skip
            screen.table(table)
            screen.space()
            screen.line(f"{found.name}, on {found.host}: {found.folder}")
    raise typer.Exit(new_exit(changed.new) if fail_on_new else ExitCode.CLEAN)
