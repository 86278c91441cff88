"""`losttick explain`: what a result means, and what to do about it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli.exits import errors_to_exits
from orchestrator.cli.screen import Screen
from orchestrator.results.explain import Reader
from orchestrator.results.explain import explain as explained
from orchestrator.results.explanation.text import Block, Commands, Excerpt, Section
from orchestrator.results.report import read_report


def explain(
    folder: Annotated[Path, typer.Argument(help="Output folder of a run.", metavar="DIR")],
    reader: Annotated[
        Reader,
        typer.Option(
            "--for",
            help="Who reads it: the user of the computer, the owner of a CI job, or a developer "
            "of KVM.",
        ),
    ] = Reader.USER,
) -> None:
    """Explain a result: what happened, what it means, and what to do.

    The exit code is 0 if the result could be read, whatever it is.
    """
    with errors_to_exits(as_json=False):
        sections = explained(read_report(folder), reader)
        _print(sections)


def _print(sections: Sequence[Section]) -> None:
    screen = Screen()
    for number, section in enumerate(sections):
        if number:
            screen.space()
        if section.heading:
            screen.prose(section.heading, style="bold")
        for before, block in zip((None, *section.blocks), section.blocks, strict=False):
            if isinstance(block, str) and before is not None and not isinstance(before, str):
                screen.space()
            _print_block(screen, block)


def _print_block(screen: Screen, block: Block) -> None:
    match block:
        case Commands(lines=lines):
            whole = any("<<" in line for line in lines)  # a here-document ends in column 1
            for line in lines:
                screen.line(line if whole else f"    {line}")
        case Excerpt(lines=lines):
            for line in lines:
                screen.line(f"  | {line}", style="dim")
        case _:
            screen.prose(block)
