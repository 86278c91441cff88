"""The table of outputs. The module of an output is imported when that output is asked for."""

import importlib
from collections.abc import Mapping
from typing import cast

from orchestrator.results.outputs.output import Output, OutputError

#: The module of each output, by its kind. A module has its output as `OUTPUT`.
OUTPUTS: Mapping[str, str] = {
    "ktap": "orchestrator.results.outputs.ktap",
    "kcidb": "orchestrator.results.outputs.kcidb",
}


def output(kind: str) -> Output:
    """Return the output of a kind.

    Raises:
        OutputError: there is no such kind.
    """
    if kind not in OUTPUTS:
        raise OutputError(f"writing a report: there is no kind {kind!r}, only {', '.join(OUTPUTS)}")
    return cast(Output, importlib.import_module(OUTPUTS[kind]).OUTPUT)
