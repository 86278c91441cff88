"""`losttick bundle`: a run as one file that a stranger can read."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli.exits import errors_to_exits
from orchestrator.cli.screen import Screen
from orchestrator.cli.text import say
from orchestrator.errors import InputError
from orchestrator.results.bundling.origin import Origin, origin
from orchestrator.results.bundling.pack import pack
from orchestrator.results.bundling.secrets import secrets_here
from orchestrator.results.outputs.target import check_target, write_target
from orchestrator.results.report import read_report


class ElsewhereError(InputError):
    """A run was made on a computer whose names are not known here."""

    def __init__(self, folder: Path) -> None:
        super().__init__(
            f"making a bundle of {folder} anonymous: the run was made on another computer, and "
            "the names of that computer and of its users are not known here. Bundle the run there, "
            "as the same user, or give each name with --hide."
        )


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
        if anonymous:
            _check_origin(folder, bool(hide))
        packed = pack(folder, secrets_here(folder, hide or ()) if anonymous else None)
        write_target(target, packed.data)
        for name in packed.left_out:
            say(f"left out: {name}")
        Screen().prose(
            f"{packed.files} files, {len(packed.data):,} bytes. To read it: "
            f"`losttick show {shlex.quote(str(target))}`."
        )


def _check_origin(folder: Path, hides: bool) -> None:
    """Check that what names the tested computer is known, or that the user names it.

    Raises:
        ElsewhereError: neither is so.
    """
    read_report(folder)  # says it if there is no run
    found = origin(folder)
    if found is Origin.ELSEWHERE and not hides:
        raise ElsewhereError(folder)
    if found is not Origin.HERE:
        where = "on another computer" if found is Origin.ELSEWHERE else "on an unknown computer"
        say(
            f"note: the run was made {where}. Only --hide hides the names of that computer and of "
            "its users."
        )
