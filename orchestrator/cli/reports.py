"""The outputs that a command writes: which ones, and where each goes."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from orchestrator.campaign.events import Progress
from orchestrator.cli.at_end import wrote
from orchestrator.cli.exits import ExitCode, despite_output
from orchestrator.cli.screen import Screen, with_width
from orchestrator.cli.streams import print_bytes
from orchestrator.cli.text import (
    json_without_commands,
    say,
    say_error,
    without_commands,
    xml_without_commands,
)
from orchestrator.errors import LosttickError, own_fault
from orchestrator.journal.begun import run_began
from orchestrator.journal.file import JOURNAL
from orchestrator.results.outputs.output import OutputError, OutputOptions
from orchestrator.results.outputs.table import OUTPUTS, Kind, output, service
from orchestrator.results.outputs.target import check_target, write_target
from orchestrator.results.report import Report, read_report

#: The name of standard output.
_STDOUT = Path("-")

#: Other names of standard output, which is written when the command ends.
_ALSO_STDOUT = frozenset(map(Path, ("/dev/stdout", "/dev/fd/1", "/proc/self/fd/1")))

#: A journal of more bytes takes more than about a second to read, which a run that is told to
#: end does not have.
_MOST_WHEN_CUT_SHORT = 10_000_000

#: The kind of output that is printed while a run goes on.
_STREAMED = "ktap"

#: How an output on standard output becomes harmless as the log of a step of GitHub Actions.
_HARMLESS = {
    "ktap": without_commands,
    "markdown": without_commands,
    "kcidb": json_without_commands,
    "junit": xml_without_commands,
}

ReportOption = Annotated[
    list[str] | None,
    typer.Option(
        "--report",
        metavar="KIND=FILE",
        help=f"Also write the result as {', '.join(OUTPUTS)} into a file; - is standard output. "
        "May be given more than once. `losttick report` writes the same later.",
    ),
]


def option_of(kind: Kind) -> Any:
    """Return the type of the option of `losttick report` that asks for an output."""
    if kind.file:
        return Annotated[Path | None, typer.Option(help=kind.help, metavar="FILE")]
    return Annotated[bool, typer.Option(help=kind.help)]


@dataclass(frozen=True, slots=True)
class Wanted:
    """An output that was asked for."""

    kind: str
    file: Path | None = None
    """None for standard output, and for an output that is no file."""

    @property
    def on_stdout(self) -> bool:
        """True if it goes to standard output."""
        return OUTPUTS[self.kind].file and self.file is None


@dataclass(frozen=True, slots=True)
class Reports:
    """The outputs of one command."""

    wanted: Sequence[Wanted] = ()
    options: OutputOptions = field(default_factory=OutputOptions)
    as_json: bool = False
    """True if standard output has one JSON object and nothing else."""

    @property
    def on_stdout(self) -> bool:
        """True if an output takes standard output, so that words for a person go elsewhere."""
        return any(each.on_stdout for each in self.wanted)

    def screen(self) -> Screen:
        """Return the place of words for a person."""
        return Screen(with_width(Console(stderr=True))) if self.on_stdout else Screen()

    @contextlib.contextmanager
    def streamed(self, then: Progress) -> Iterator[tuple[Progress, "Reports"]]:
        """Print the KTAP that goes to standard output while a run goes on.

        Args:
            then: the progress that hears of each step after it was printed.

        Yields:
            The progress of the run, and the outputs that are left for its end.
        """
        left = [each for each in self.wanted if not (each.kind == _STREAMED and each.on_stdout)]
        if len(left) == len(self.wanted):
            yield then, self
            return
        ktap_to = import_module("orchestrator.cli.ktap_stream").ktap_to  # few runs need it
        with ktap_to(
            lambda data: print_bytes(_harmless(_STREAMED, data), now=True), then
        ) as progress:
            yield progress, replace(self, wanted=left)

    def write(self, reports: Sequence[Report]) -> Sequence[Wanted]:
        """Write each output; none of them if one can't be made.

        Returns:
            The outputs that could not be written. A person was told why.

        Raises:
            OutputError: an output can't be made.
        """
        files = [each for each in self.wanted if OUTPUTS[each.kind].file]
        made = {each: self._rendered(each, reports) for each in files}
        return [
            each
            for each in self.wanted
            if not wrote(f"writing {each.kind}", partial(self._put, each, made.get(each), reports))
        ]

    def _put(self, wanted: Wanted, data: bytes | None, reports: Sequence[Report]) -> None:
        if data is None:
            lines = service(wanted.kind).publish(reports, self.options)
            typer.echo(lines, nl=False, err=self.on_stdout or self.as_json)
        elif wanted.file is None:
            print_bytes(_harmless(wanted.kind, data))
        else:
            write_target(wanted.file, data)

    def _rendered(self, wanted: Wanted, reports: Sequence[Report]) -> bytes:
        options = replace(self.options, target=wanted.file)
        return output(wanted.kind).render(reports, options)

    def write_at_end(self, folder: Path, code: ExitCode, changes: Sequence[str] = ()) -> ExitCode:
        """Write the outputs of a run that has ended; return the exit code after that.

        The run has its result, whatever becomes of its outputs. So no error ends the command.

        Args:
            folder: of the run.
            code: the exit code of the result.
            changes: what is new in it, in sentences.
        """
        if not self.wanted:
            return code
        try:
            failed = self.write([replace(read_report(folder), changes=tuple(changes))])
        except LosttickError as error:
            say_error(str(error))
        except Exception as error:
            say_error(
                f"{own_fault(f'writing a report of {folder}', error)} The result and its exit code "
                "stand."
            )
        else:
            return despite_output(code) if failed else code
        return despite_output(code)

    def write_cut_short(self, folder: Path) -> None:
        """Write the outputs of a run that an error or a signal has cut short, if time allows."""
        if not run_began(folder):
            return
        size = (folder / JOURNAL).stat().st_size
        if self.wanted and size > _MOST_WHEN_CUT_SHORT:
            say(f"no report was written: the journal is long. `losttick report {folder}` does it")
        else:
            self.write_at_end(folder, ExitCode.CLEAN)


def _harmless(kind: str, data: bytes) -> bytes:
    """Return an output as it may be printed, also as a part of a job's log."""
    make = _HARMLESS.get(kind)
    return make(data.decode()).encode() if make else data


def reports_of(given: Sequence[str] | None, *, as_json: bool, out: Path | None = None) -> Reports:
    """Return what `--report` asks for.

    Args:
        given: the values of the option.
        as_json: whether standard output has one JSON object and nothing else.
        out: the output folder of the run, which it makes; it may hold the reports, too.

    Raises:
        OutputError: an output can't be made or written here.
    """
    return checked([_parsed(each) for each in given or ()], as_json=as_json, coming=out)


def checked(
    wanted: Sequence[Wanted],
    options: OutputOptions | None = None,
    *,
    as_json: bool = False,
    coming: Path | None = None,
) -> Reports:
    """Return outputs whose kinds and files are there, so that a long run does not end in vain.

    Raises:
        OutputError: an output can't be made or written here.
    """
    on_stdout = [each.kind for each in wanted if each.on_stdout]
    if len(on_stdout) > 1:
        raise OutputError(
            f"writing reports: {' and '.join(on_stdout)} would both go to standard output. Name a "
            "file for all but one."
        )
    if on_stdout and as_json:
        raise OutputError(
            f"writing reports: with --json, standard output has the JSON object alone. Name a file "
            f"for {on_stdout[0]}."
        )
    files: dict[Path, str] = {}
    for each in wanted:
        output(each.kind)
        if each.file is None:
            continue
        check_target(each.file, coming)
        if (other := files.setdefault(each.file.resolve(), each.kind)) != each.kind:
            raise OutputError(
                f"writing reports: {other} and {each.kind} would both go to {each.file}. Name a "
                "file for each."
            )
    return Reports(wanted, options or OutputOptions(), as_json=as_json)


def wanted_files(given: Mapping[str, Path | bool | None]) -> list[Wanted]:
    """Return the outputs that options by the names of their kinds ask for."""
    return [
        _wanted(kind, file if isinstance(file, Path) else None)
        for kind, file in given.items()
        if file not in (None, False)
    ]


def _parsed(text: str) -> Wanted:
    kind, equals, file = text.partition("=")
    if kind not in OUTPUTS:
        raise OutputError(
            f"reading --report {text!r}: there is no kind {kind!r}, only {', '.join(OUTPUTS)}"
        )
    if not OUTPUTS[kind].file:
        if equals:
            raise OutputError(f"reading --report {text!r}: {kind} takes no file")
        return Wanted(kind)
    if not file:
        raise OutputError(f"reading --report {text!r}: name a file as in {kind}=FILE")
    return _wanted(kind, Path(file))


def _wanted(kind: str, file: Path | None) -> Wanted:
    return Wanted(kind, None if file == _STDOUT or file in _ALSO_STDOUT else file)
