"""`losttick fleet status` and `cancel`: ask the engine of a fleet once."""

import typer

from orchestrator.cli.exits import errors_to_exits, run_async
from orchestrator.cli.fleet.going import ask
from orchestrator.cli.fleet.options import Where
from orchestrator.cli.options import AsJson, SharedOut
from orchestrator.fleet.drive import Drive


def status(where: Where, shared_out: SharedOut = False, as_json: AsJson = False) -> None:
    """Print where each task of a fleet stands.

    The engine is asked once. Exit codes: 0; 2 bad usage or a damaged log;
    4 if the engine can't be reached.
    """
    with errors_to_exits(as_json=as_json):
        code = run_async(lambda: ask(where, Drive.look, shared=shared_out, as_json=as_json))
    raise typer.Exit(code)


def cancel(where: Where, shared_out: SharedOut = False, as_json: AsJson = False) -> None:
    """End the runs of a fleet; `fleet resume` goes on with them.

    Exit codes: 0; 2 bad usage or a damaged log; 4 if the engine can't be
    reached.
    """
    with errors_to_exits(as_json=as_json):
        code = run_async(lambda: ask(where, Drive.cancel, shared=shared_out, as_json=as_json))
    raise typer.Exit(code)
