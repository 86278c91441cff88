"""The terminal, or the file that stands in for it: the one place that prints for a person."""

import os
from collections.abc import Callable, Iterable

from rich.console import Console
from rich.text import Text

from orchestrator.cli.table import Table, wrap
from orchestrator.cli.text import Styled, without_commands
from orchestrator.results.printable import one_line, paragraph

#: Columns of a line where no terminal says how wide it is.
_WIDTH = 80


class Screen:
    """Standard output.

    A line is as wide as the terminal. Off a terminal, the environment variable COLUMNS
    says how wide it is; without it, 80 columns.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or with_width(Console())

    def prose(self, *parts: str | Styled, style: str = "") -> None:
        """Print a paragraph, wrapped as the cells of a table are."""
        text, at = _text(parts, style, paragraph), 0
        for line in wrap(text.plain, self._console.width):
            at = text.plain.index(line, at)
            self._console.print(text[at : at + len(line)], highlight=False, soft_wrap=True)
            at += len(line)

    def line(self, *parts: str | Styled, style: str = "") -> None:
        """Print a line that somebody may copy, such as a path: it is never wrapped."""
        self._console.print(_text(parts, style, one_line), highlight=False, soft_wrap=True)

    def table(self, table: Table) -> None:
        """Print a table as wide as the screen allows."""
        for line in table.lines(self._console.width):
            self.line(*line)

    def space(self) -> None:
        """Print an empty line."""
        self._console.print()


def with_width(console: Console) -> Console:
    """Set the width of a console that is not a terminal; return it."""
    if not console.is_terminal:
        columns = os.environ.get("COLUMNS", "")
        console.width = int(columns) if columns.isdecimal() and int(columns) else _WIDTH
    return console


def _text(parts: Iterable[str | Styled], style: str, printable: Callable[[str], str]) -> Text:
    text = Text(style=style)
    for part in parts:
        piece = part if isinstance(part, Styled) else Styled(part)
        text.append(without_commands(printable(piece.text)), style=piece.style)
    return text
