"""Messages for a person, and pieces of text with a style."""

import sys
from dataclasses import dataclass

from orchestrator.results.printable import one_line, paragraph


@dataclass(frozen=True, slots=True)
class Styled:
    """A piece of text, and rich's name for its style, such as `bold red`."""

    text: str
    style: str = ""


def say(text: str) -> None:
    """Print a line on standard error."""
    print(one_line(text), file=sys.stderr, flush=True)


def say_error(message: str) -> None:
    """Print an error on standard error."""
    print(paragraph(f"losttick: {message}"), file=sys.stderr, flush=True)


def duration(seconds: float) -> str:
    """Return a span of time in the largest unit of which it has at least two."""
    for unit, size in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
