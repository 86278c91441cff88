"""Pieces of Markdown that show any text as it is: nothing in it is a link, a mention or markup."""

import re
from collections.abc import Iterable, Sequence

from orchestrator.results.printable import one_line, printable

#: Characters that begin or end something in Markdown, wherever they stand.
_MARKUP = re.compile(r"[\\`*\[\]<>|~$&]")

#: An underscore that may begin or end emphasis: between letters and digits it never does.
_EMPHASIS = re.compile(r"(?<![^\W_])_|_(?![^\W_])")

#: The beginnings of what GitHub and others make a link of, without being asked to.
_LINK = re.compile(r"@(?=\w)|#(?=\d)|(?i:(?<=http)|(?<=https)|(?<=ftp)):(?=//)|(?i:(?<=www))\.")

#: The beginnings of lines that are no paragraph.
_BLOCK = re.compile(r"^(?:(?=[-#+=])|\d+(?=[.)](?:\s|$)))")

#: Parts a text in two, and is not shown.
_NOTHING = "<!-- -->"

_TICKS = re.compile(r"`+")


def text(words: str) -> str:
    """Return words as a part of a paragraph or of a table's cell."""
    escaped = _EMPHASIS.sub(r"\\_", _MARKUP.sub(_escaped, one_line(words)))
    return _LINK.sub(rf"\g<0>{_NOTHING}", escaped)


def paragraph(words: str) -> str:
    """Return words as a paragraph, in which words between backquotes are code.

    Its beginning is no heading, list or rule.
    """
    parts = one_line(words.strip()).split("`")
    if len(parts) % 2 == 0:  # a backquote without its other one
        return _BLOCK.sub(r"\g<0>\\", text(words.strip()))
    shown = "".join(code(part) if number % 2 else text(part) for number, part in enumerate(parts))
    return _BLOCK.sub(r"\g<0>\\", shown)


def code(words: str) -> str:
    """Return words in the type of code, as a part of a paragraph."""
    words = one_line(words)
    fence = "`" * (_longest(words) + 1)
    space = " " if words.startswith(("`", " ")) or words.endswith(("`", " ")) else ""
    return f"{fence}{space}{words}{space}{fence}" if words else ""


def cell_code(words: str) -> str:
    """Return words in the type of code, as a part of a table's cell."""
    return code(words).replace("|", r"\|")


def block(lines: Iterable[str], language: str = "") -> str:
    """Return lines as a block of code."""
    shown = [printable(line) for line in lines]
    fence = "`" * max(3, max(map(_longest, shown), default=0) + 1)
    return "\n".join([fence + language, *shown, fence])


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; its cells are pieces of Markdown."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _escaped(found: re.Match[str]) -> str:
    return {"<": "&lt;", ">": "&gt;", "&": "&amp;"}.get(found[0], f"\\{found[0]}")


def _longest(line: str) -> int:
    """Return the length of the longest run of backticks."""
    return max((len(run) for run in _TICKS.findall(line)), default=0)
