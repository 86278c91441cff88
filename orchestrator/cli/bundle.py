"""`losttick bundle`: a run as one file that a stranger can read."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli.exits import errors_to_exits
from orchestrator.cli.screen import Screen
from orchestrator.cli.text import say
from orchestrator.results.bundling.pack import pack
from orchestrator.results.bundling.secrets import secrets_here
from orchestrator.results.outputs.target import check_target, write_target


def bundle(
    folder: Annotated[
        Path, typer.Argument(help="Output folder of a run, or a bundle.", metavar="DIR")
    ],
    target: Annotated[
        Path,
        typer.Option(
            "--output", "-o", help="File to write.", metavar="FILE.tar.zst", show_default=False
        ),
    ],
    anonymous: Annotated[
        bool,
        typer.Option(
            "--anonymous",
            help="Replace names of users and computers, folders, machine and boot ids, and MAC "
            "and IP addresses by stand-ins. Run it where losttick ran, as the same user.",
        ),
    ] = False,
    hide: Annotated[
        list[str] | None,
        typer.Option(
            help="Further text that --anonymous replaces, such as a company's name. May be given "
            "more than once."
        ),
    ] = None,
) -> None:
    """Pack a run into one file that a stranger can read.

    The file has the journal, the evidence, the host's facts, an explanation
    and the reports. `losttick show FILE` and the other commands that read a
    run read the file as it is. The same run gives the same bytes.
    """
    if hide and not anonymous:
        raise typer.BadParameter("it needs --anonymous", param_hint="--hide")
    with errors_to_exits(as_json=False):
        check_target(target)
        packed = pack(folder, secrets_here(folder, hide or ()) if anonymous else None)
        write_target(target, packed.data)
        for name in packed.left_out:
            say(f"left out: {name}")
        Screen().prose(
            f"{packed.files} files, {len(packed.data):,} bytes. To read it: "
            f"`losttick show {shlex.quote(str(target))}`."
        )
