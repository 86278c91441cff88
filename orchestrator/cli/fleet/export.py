"""`losttick fleet export`: a fleet for those who have another engine."""

from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli.exits import ExitCode, errors_to_exits
from orchestrator.cli.fleet.options import File
from orchestrator.cli.screen import Screen
from orchestrator.errors import InputError
from orchestrator.fleet.export.lava import lava_files
from orchestrator.fleet.export.tmt import tmt_files
from orchestrator.fleet.export.write import write_files
from orchestrator.fleet.load import load_fleet


class ExportUsageError(InputError):
    """The options name no engine, or two."""


def export(
    file: File,
    tmt: Annotated[bool, typer.Option("--tmt", help="Write plans of tmt, with a test.")] = False,
    lava: Annotated[bool, typer.Option("--lava", help="Write jobs of LAVA.")] = False,
    out: Annotated[
        Path, typer.Option(help="Folder for the files; it must be new or empty.")
    ] = Path("fleet-export"),
) -> None:
    """Write a fleet as plans of tmt or jobs of LAVA.

    There is one for each host and kernel that the fleet file does not rule out.
    """
    with errors_to_exits(as_json=False):
        if tmt == lava:
            raise ExportUsageError("exporting a fleet: give --tmt or --lava")
        loaded = load_fleet(file)
        files = tmt_files(loaded) if tmt else lava_files(loaded)
        write_files(out, files)
        Screen().line(f"{len(files)} files in {out}")
    raise typer.Exit(ExitCode.CLEAN)
