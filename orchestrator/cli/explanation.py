"""Prints an explanation: sections of paragraphs, commands and excerpts."""

from collections.abc import Sequence

from orchestrator.cli.screen import Screen
from orchestrator.results.explanation.text import Block, Commands, Excerpt, Section


def print_sections(screen: Screen, sections: Sequence[Section]) -> None:
    """Print sections. Their text may be data of a guest, a kernel or a QEMU."""
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
