"""Options that several commands share."""

from typing import Annotated

import typer

AsJson = Annotated[
    bool, typer.Option("--json", help="Print one JSON object, and nothing else, on stdout.")
]

IntervalConfidence = Annotated[
    float, typer.Option(min=0.5, max=0.999999, help="Confidence of the intervals.")
]
