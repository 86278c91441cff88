"""The table of outputs. The module of an output is imported when that output is asked for."""

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from orchestrator.results.outputs.output import Output, OutputError, Service

if TYPE_CHECKING:
    from orchestrator.results.comparison.compare import Comparison
    from orchestrator.results.history.trend import CellTrend


@dataclass(frozen=True, slots=True)
class Kind:
    """An output, by the name of the option of `losttick report` that asks for it."""

    module: str
    """Its module, which has it as `OUTPUT`."""
    help: str
    """What it is, in a few words."""
    extra: str = ""
    """The extra of losttick with what it needs; empty if losttick always has that."""
    file: bool = True
    """False if it goes to the CI service that runs losttick, and not into a file."""


#: Every output, by its kind. This is all that the command line knows of an output.
OUTPUTS: Mapping[str, Kind] = {
    "junit": Kind("orchestrator.results.outputs.junit", "JUnit XML, for Jenkins, GitLab and such."),
    "markdown": Kind(
        "orchestrator.results.outputs.markdown", "Markdown, for a bug report or a mail."
    ),
    "github": Kind(
        "orchestrator.results.outputs.github",
        "Annotate a step of GitHub Actions, and append to its summary.",
        file=False,
    ),
    "ktap": Kind("orchestrator.results.outputs.ktap", "KTAP 1, as kernel selftests print it."),
    "kcidb": Kind("orchestrator.results.outputs.kcidb", "KCIDB JSON, for KernelCI's database."),
    "html": Kind(
        "orchestrator.results.outputs.html.output", "An HTML page for people.", extra="report"
    ),
}


def output(kind: str) -> Output:
    """Return the output of a kind that is a file.

    Raises:
        OutputError: there is no such kind, or a package that it needs is missing.
    """
    return cast(Output, _imported(kind))


def service(kind: str) -> Service:
    """Return the output of a kind that goes to a CI service.

    Raises:
        OutputError: there is no such kind, or a package that it needs is missing.
    """
    return cast(Service, _imported(kind))


#: The page over the runs in a folder, and what writes it.
INDEX = "index.html"
IndexWriter = Callable[[Path, Callable[[str], None]], Path]


def index_writer() -> IndexWriter:
    """Return the function that writes the page over all runs in a folder.

    Raises:
        OutputError: a package that it needs is missing.
    """
    found = import_output("an index", "orchestrator.results.outputs.html.index", "report")
    return cast(IndexWriter, found.write_index)


def comparison_page() -> "Callable[[Comparison], bytes]":
    """Return the function that makes the page of a comparison.

    Raises:
        OutputError: a package that it needs is missing.
    """
    found = import_output("a page", "orchestrator.results.outputs.html.comparison", "report")
    return cast("Callable[[Comparison], bytes]", found.comparison_page)


def trend_page() -> "Callable[[Sequence[CellTrend]], bytes]":
    """Return the function that makes the page of a trend.

    Raises:
        OutputError: a package that it needs is missing.
    """
    found = import_output("a page", "orchestrator.results.outputs.html.trend", "report")
    return cast("Callable[[Sequence[CellTrend]], bytes]", found.trend_page)


def _imported(kind: str) -> object:
    """Return the output of a kind.

    Raises:
        OutputError: there is no such kind, or a package that it needs is missing.
    """
    if kind not in OUTPUTS:
        raise OutputError(f"writing a report: there is no kind {kind!r}, only {', '.join(OUTPUTS)}")
    found = OUTPUTS[kind]
    imported: object = import_output(f"a {kind} report", found.module, found.extra).OUTPUT
    return imported


def import_output(what: str, module: str, extra: str) -> Any:
    """Return the module of an output.

    Args:
        what: the output, in words.
        module: its name.
        extra: the extra of losttick with what it needs.

    Raises:
        OutputError: a package that it needs is missing.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        package = f"losttick[{extra}]" if extra else "losttick"
        raise OutputError(
            f"writing {what}: the Python package {error.name} is missing. Install it with "
            f"`pip install '{package}'`."
        ) from error
