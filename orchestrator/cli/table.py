"""Tables that fit the width they are given.

A cell's text breaks at blanks; paths and ids of cells also break after `/` and `,`, and
long versions after `-` and `+`. No word is broken anywhere else. A column is as wide as its
longest line if all columns fit so; otherwise the widest columns give way first, each down
to its longest word. Where even that is too wide, each row becomes a block of lines, one name
and value each. Only a word that is wider than a whole line is cut.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from rich.cells import cell_len, chop_cells

from orchestrator.cli.text import Styled
from orchestrator.results.printable import one_line, printable

#: Empty columns between two columns.
_GAP = 2

_HEADER = "bold"

#: Words longer than this also break after `-` and `+`: names and versions of packages.
_LONG = 24

#: Words with a slash that are neither paths nor ids: fractions and rates.
_WHOLE = re.compile(r"\d+/\d+\W*$|\w+/s\W*$")


@dataclass(slots=True)
class Table:
    """Rows under headers."""

    headers: Sequence[str]
    right: frozenset[str] = frozenset()
    """Headers of the columns that are aligned to the right."""
    lines_in: frozenset[str] = frozenset()
    """Headers of the columns in which a newline begins a new line. Elsewhere it is escaped."""
    _rows: list[list[Styled]] = field(default_factory=list)

    def add(self, *values: str | Styled) -> None:
        """Add a row: one value a column."""
        if len(values) != len(self.headers):
            raise ValueError(f"{len(values)} values for {len(self.headers)} columns")
        styled = (v if isinstance(v, Styled) else Styled(v) for v in values)
        self._rows.append(
            [
                Styled(printable(v.text) if header in self.lines_in else one_line(v.text), v.style)
                for header, v in zip(self.headers, styled, strict=True)
            ]
        )

    def lines(self, width: int) -> Iterator[list[Styled]]:
        """Yield the table's lines, none wider than `width`."""
        if not self._rows:
            return
        widths = self._widths(width)
        if widths is None:
            yield from self._blocks(width)
            return
        if any(self.headers):
            yield from self._row([Styled(header, _HEADER) for header in self.headers], widths)
        for row in self._rows:
            yield from self._row(row, widths)

    def _widths(self, width: int) -> list[int] | None:
        """Return the width of each column, or None if the table does not fit."""
        room = width - _GAP * (len(self.headers) - 1)
        columns = [
            [header, *(row[place].text for row in self._rows)]
            for place, header in enumerate(self.headers)
        ]
        least = [max(map(_longest_word, texts)) for texts in columns]
        if sum(least) > room:
            return None
        widths = [min(room, max(map(_longest_line, texts))) for texts in columns]
        while sum(widths) > room:
            place = max(range(len(widths)), key=lambda at: (widths[at] > least[at], widths[at]))
            widths[place] -= 1
        return widths

    def _row(self, row: Sequence[Styled], widths: Sequence[int]) -> Iterator[list[Styled]]:
        wrapped = [wrap(value.text, width) for value, width in zip(row, widths, strict=True)]
        for number in range(max(map(len, wrapped))):
            pieces: list[Styled] = []
            for place, (lines, width) in enumerate(zip(wrapped, widths, strict=True)):
                text = lines[number] if number < len(lines) else ""
                blanks = " " * (width - cell_len(text))
                gap = " " * _GAP if place else ""
                if self.headers[place] in self.right:
                    pieces += [Styled(gap + blanks), Styled(text, row[place].style)]
                else:
                    pieces += [Styled(gap), Styled(text, row[place].style), Styled(blanks)]
            yield _without_trailing_blanks(pieces)

    def _blocks(self, width: int) -> Iterator[list[Styled]]:
        """Yield each row as lines of a header and a value."""
        named = min(max(map(cell_len, self.headers)), max(width // 2, 1))
        room = max(width - named - _GAP, 1)
        for number, row in enumerate(self._rows):
            if number:
                yield []
            for header, value in zip(self.headers, row, strict=True):
                names, lines = wrap(header, named), wrap(value.text, room)
                for at in range(max(len(names), len(lines))):
                    name = names[at] if at < len(names) else ""
                    line = lines[at] if at < len(lines) else ""
                    blanks = " " * (named - cell_len(name) + _GAP)
                    yield [Styled(name, _HEADER), Styled(blanks), Styled(line, value.style)]


def wrap(text: str, width: int) -> list[str]:
    """Return the text in lines of at most `width` columns; a longer word is cut."""
    lines = []
    for whole in text.split("\n"):
        line = ""
        for unit in _units(whole):
            if line and cell_len((line + unit).rstrip(" ")) > width:
                lines.append(line.rstrip(" "))
                line = ""
            line += unit
            if cell_len(line.rstrip(" ")) > width:
                *cut, line = chop_cells(line, width)
                lines += cut
        lines.append(line.rstrip(" "))
    return lines


def _units(line: str) -> list[str]:
    """Split a line after each run of blanks, and in paths and ids after each `/` and `,`.

    The blank between a number and its unit, as in `12 ms`, is no place to split.
    """
    units = []
    for word in re.findall(r"(?:\S*\d (?=[numkMG]?[sB]\b))?\S* *", line):
        whole = _WHOLE.match(word) or "/" not in word
        for unit in [word] if whole else re.findall(r"[^/,]*[/,]|[^/,]+", word):
            long = len(unit.rstrip(" ")) > _LONG
            units += re.findall(r"[^-+]*[-+]|[^-+]+", unit) if long else [unit]
    return units


def _longest_word(text: str) -> int:
    units = (unit for line in text.split("\n") for unit in _units(line))
    return max((cell_len(unit.rstrip(" ")) for unit in units), default=0)


def _longest_line(text: str) -> int:
    return max(cell_len(line) for line in text.split("\n"))


def _without_trailing_blanks(pieces: list[Styled]) -> list[Styled]:
    while pieces and not pieces[-1].text.strip(" "):
        pieces.pop()
    return pieces
