"""The form of an explanation: sections of paragraphs, commands and excerpts."""

from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.bugs.remedy import Step


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
