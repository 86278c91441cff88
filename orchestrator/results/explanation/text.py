"""The form of an explanation: sections of paragraphs, commands and excerpts."""

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from orchestrator.bugs.remedy import Step
from orchestrator.results.printable import one_line


@dataclass(frozen=True, slots=True)
class Commands:
    """Lines that the reader can paste into a shell."""

    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Excerpt:
    """Lines of a file, as they are. They are data of a guest, a kernel or a QEMU."""

    lines: tuple[str, ...]


Block = str | Commands | Excerpt


@dataclass(frozen=True, slots=True)
class Section:
    """Blocks under one heading."""

    heading: str
    """Empty for the opening."""
    blocks: tuple[Block, ...]


def of_steps(steps: Sequence[Step]) -> tuple[Block, ...]:
    """Return the blocks of some steps: each one's words, then its commands."""
    blocks: list[Block] = []
    for step in steps:
        blocks.append(step.what)
        if step.commands:
            blocks.append(Commands(step.commands))
    return tuple(blocks)


def as_text(sections: Sequence[Section]) -> str:
    """Return an explanation as plain text with lines of at most 80 columns.

    Characters that could do something to a terminal are printed as escapes.
    """
    return "\n\n".join("\n".join(_lines(each)) for each in sections) + "\n"


def _lines(section: Section) -> Iterator[str]:
    if section.heading:
        yield from (one_line(section.heading), "-" * len(section.heading))
    for block in section.blocks:
        if isinstance(block, str):
            yield from textwrap.wrap(one_line(block), 80, break_on_hyphens=False)
        else:
            indent = "  | " if isinstance(block, Excerpt) else "    "
            yield from (indent + one_line(line) for line in block.lines)
