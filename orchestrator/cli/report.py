"""`losttick report`: the results of runs, in forms for programs and for people."""

import inspect
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli.at_end import wrote
from orchestrator.cli.exits import despite_output, errors_to_exits, result_exit
from orchestrator.cli.options import FailOnKinds
from orchestrator.cli.reports import Wanted, checked, option_of, wanted_files
from orchestrator.cli.screen import Screen
from orchestrator.cli.text import say_error
from orchestrator.errors import InputError
from orchestrator.process.existence import is_folder
from orchestrator.results.outputs.output import OutputOptions
from orchestrator.results.outputs.table import INDEX, OUTPUTS, IndexWriter, index_writer
from orchestrator.results.outputs.target import check_target
from orchestrator.results.report import read_report


class NoOutputError(InputError):
    """No output was asked for."""


def _with_outputs(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command an option for each output, in the place of its `**files`."""
    signature = inspect.signature(command)
    options = [
        inspect.Parameter(
            kind, inspect.Parameter.KEYWORD_ONLY,
            default=None if entry.file else False, annotation=option_of(entry),
        )
        for kind, entry in OUTPUTS.items()
    ]  # fmt: skip
    others = [each for each in signature.parameters.values() if each.name != "files"]
    command.__signature__ = signature.replace(  # type: ignore[attr-defined]  # Typer reads it
        parameters=[*others[:1], *options, *(o.replace(kind=o.KEYWORD_ONLY) for o in others[1:])]
    )
    command.__annotations__ |= {each.name: each.annotation for each in options}
    return command


def _check_asked(
    folders: Sequence[Path] | None, wanted: Sequence[Wanted], index: Path | None
) -> None:
    """Check that there is something to write, and something to write it from.

    Raises:
        NoOutputError: there is not.
    """
    kinds = ", ".join(f"--{kind}" for kind in OUTPUTS)
    if folders and not wanted:
        raise NoOutputError(f"writing a report: say in which form, with one of {kinds}")
    if wanted and not folders:
        raise NoOutputError("writing a report: name the output folders of runs")
    if not wanted and not index:
        raise NoOutputError(
            f"writing a report: name output folders with one of {kinds}; or --index"
        )


@_with_outputs
def report(
    folders: Annotated[
        list[Path] | None,
        typer.Argument(help="Output folders of runs.", metavar="DIR...", show_default=False),
    ] = None,
    index: Annotated[
        Path | None,
        typer.Option(
            help="Write index.html over the runs whose output folders are in this folder, and a "
            "page of each run.",
            metavar="FOLDER",
        ),
    ] = None,
    junit_properties: Annotated[
        bool,
        typer.Option(
            "--junit-properties",
            help="Also give the cases of JUnit their numbers as properties, which the schema of "
            "Jenkins' xUnit plugin does not allow.",
        ),
    ] = False,
    kcidb_origin: Annotated[
        str,
        typer.Option("--kcidb-origin", help="Name of your CI system, as KCIDB knows it."),
    ] = "losttick",
    kcidb_build: Annotated[
        str,
        typer.Option(
            "--kcidb-build",
            metavar="ID",
            help="Build of the tested kernel that KCIDB has already.",
            show_default="a build that is submitted with the results",
        ),
    ] = "",
    commit: Annotated[
        str,
        typer.Option(
            help="Whole hash of the tested kernel's commit, for KCIDB.", show_default="not known"
        ),
    ] = "",
    fail_on: FailOnKinds = None,
    **files: Path | bool | None,
) -> None:
    """Write the results of runs as JUnit, Markdown and other forms.

    Works for a run that goes on, that ended or that was cut short, also of
    `losttick lab run` and `losttick probe`. FILE is written whole or not at
    all; - is standard output. Exit codes as for `losttick show`; --index
    alone ends with 0.
    """
    with errors_to_exits(as_json=False, fail_on=fail_on):
        wanted = wanted_files(files)
        _check_asked(folders, wanted, index)
        options = OutputOptions(
            junit_properties=junit_properties,
            kcidb_origin=kcidb_origin,
            kcidb_build=kcidb_build,
            commit=commit,
        )
        reports = checked(wanted, options)
        write_index = index_writer() if index else None
        if index and is_folder(index):
            check_target(index / INDEX)
        found = [read_report(folder) for folder in dict.fromkeys(folders or ())]
        code = result_exit((end for each in found for end in each.result.ends), fail_on)
        failed = reports.write(found)
        screen = reports.screen()
        if write_index and index:
            begin = partial(_write_index, index, write_index, screen)
            code = code if wrote(f"writing an index of {index}", begin) else despite_output(code)
        for each in wanted:
            if each.file and each not in failed:
                screen.line(f"{each.kind}: {each.file}")
    raise typer.Exit(despite_output(code) if failed else code)


def _write_index(index: Path, write: IndexWriter, screen: Screen) -> None:
    screen.line(f"index: {write(index, say_error)}")
