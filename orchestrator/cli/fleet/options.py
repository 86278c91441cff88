"""Arguments and options of the commands of a fleet."""

from pathlib import Path
from typing import Annotated

import typer

from orchestrator.errors import InputError
from orchestrator.fleet.fleet_file import FleetFile

File = Annotated[Path, typer.Argument(metavar="FLEET.toml", help="A fleet file.")]

Where = Annotated[
    Path,
    typer.Argument(
        metavar="DIR|FLEET.toml",
        help="The folder that `fleet run` made, or a fleet file for its newest fleet.",
    ),
]

AllowReboot = Annotated[
    bool,
    typer.Option(
        "--allow-reboot",
        help="Boot hosts into the fleet's kernels by their boot loaders' one-shot entries (SSH).",
    ),
]

BootKernels = Annotated[
    list[str] | None,
    typer.Option(
        "--boot-kernel",
        help="Only the tasks under this kernel of the fleet file. May be given more than once.",
        metavar="NAME",
        show_default="all",
    ),
]


class UnknownKernelError(InputError):
    """The fleet file has no kernel of that name."""


def checked_kernels(fleet: FleetFile, named: list[str] | None) -> list[str]:
    """Return the kernels to which a command is limited; none for all.

    Raises:
        UnknownKernelError: the fleet file has no such kernel.
    """
    for name in named or ():
        if name not in fleet.kernels:
            raise UnknownKernelError(
                f"choosing kernels: the fleet file has no kernel {name!r}. It has: "
                f"{', '.join(fleet.kernels) or 'none'}."
            )
    return named or []
