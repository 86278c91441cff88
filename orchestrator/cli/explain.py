"""`losttick explain`: what a result means, and what to do about it."""

from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli.exits import errors_to_exits
from orchestrator.cli.explanation import print_sections
from orchestrator.cli.screen import Screen
from orchestrator.results.explain import Reader
from orchestrator.results.explain import explain as explained
from orchestrator.results.report import read_report


def explain(
    folder: Annotated[Path, typer.Argument(help="Output folder of a run.", metavar="DIR")],
    reader: Annotated[
        Reader,
        typer.Option(
            "--for",
            help="Who reads it: the user of the computer, the owner of a CI job, or a developer "
            "of KVM.",
        ),
    ] = Reader.USER,
) -> None:
    """Explain a result: what happened, what it means, and what to do.

    The exit code is 0 if the result could be read, whatever it is.
    """
    with errors_to_exits(as_json=False):
        print_sections(Screen(), explained(read_report(folder), reader))
