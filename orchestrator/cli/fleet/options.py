"""Arguments and options of the commands of a fleet."""

from pathlib import Path
from typing import Annotated

import typer

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
