"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli.out import DEFAULT_OUT

AsJson = Annotated[
    bool, typer.Option("--json", help="Print one JSON object on stdout and nothing else.")
]

IntervalConfidence = Annotated[
    float, typer.Option(min=0.5, max=0.999999, help="Confidence of the intervals.")
]

Seed = Annotated[int | None, typer.Option(help="Seed of the phases.", show_default="drawn")]

Out = Annotated[
    Path | None,
    typer.Option(help="Folder for journal and evidence.", show_default=f"{DEFAULT_OUT}/TIME"),
]

#: Current counts in ns: from 0, which QEMU restores, to half the default period of `probe`.
DEFAULT_TMCCTS = (0, 1, 100, 1_000, 10_000, 100_000)

Tmcct = Annotated[
    list[int] | None,
    typer.Option(
        min=0,
        max=2**32 - 1,
        help="Current count to restore, in ns; QEMU restores 0. May be given more than once.",
        show_default=", ".join(map(str, DEFAULT_TMCCTS)),
    ),
]
