"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli.out import DEFAULT_OUT

AsJson = Annotated[
    bool, typer.Option("--json", help="Print one JSON object, and nothing else, on stdout.")
]

IntervalConfidence = Annotated[
    float, typer.Option(min=0.5, max=0.999999, help="Confidence of the intervals.")
]

Seed = Annotated[int | None, typer.Option(help="Seed of the phases. [default: drawn]")]

Out = Annotated[
    Path | None,
    typer.Option(help=f"Folder for journal and evidence. [default: {DEFAULT_OUT}/TIME]"),
]
