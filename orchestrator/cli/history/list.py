"""`losttick history list`: the runs of the history."""

from dataclasses import asdict
from typing import Annotated

import typer

from orchestrator.cli.exits import errors_to_exits
from orchestrator.cli.history.options import Db, opened
from orchestrator.cli.options import AsJson
from orchestrator.cli.screen import Screen
from orchestrator.cli.table import Table
from orchestrator.cli.text import print_json
from orchestrator.cli.whole import Whole


def list_(
    label: Annotated[str, typer.Option(help="Only runs with this label.", show_default=False)] = "",
    host: Annotated[str, typer.Option(help="Only runs on this host.", show_default=False)] = "",
    newest: Annotated[
        int | None, typer.Option(parser=Whole(1), help="Only so many of the newest runs.")
    ] = None,
    db: Db = None,
    as_json: AsJson = False,
) -> None:
    """List the runs of the history.

    The newest is the last.
    """
    with errors_to_exits(as_json=as_json):
        history = opened(db)
        runs = history.runs(label=label, host=host, newest=newest)
        if as_json:
            print_json([asdict(run) for run in runs])
            return
        screen = Screen()
        table = Table(("run", "began", "verdict", "labels", "host", "folder"), frozenset({"run"}))
        for run in runs:
            ended = "" if not run.unfinished else " (not ended)"
            table.add(
                str(run.id), run.began_at[:16], run.verdict + ended, ", ".join(run.labels),
                run.host, run.folder,
            )  # fmt: skip
        screen.table(table)
        if not runs:
            screen.prose(f"No such run is in {history.name}. Add some by `losttick history add`.")
