"""Text that is safe to print.

A guest's console, QEMU's error messages and file names may hold control characters. They
are shown as escapes, so that none of them can move the cursor, change a colour or
rewrite a line that was printed before.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Styled:
    """A piece of text, and rich's name for its style, such as `bold red`."""

    text: str
    style: str = ""


def printable(text: str) -> str:
    """Return the text with an escape for every unprintable character except newline."""
    if text.isprintable():
        return text
    return "".join(c if c == "\n" or c.isprintable() else _escape(c) for c in text)


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def duration(seconds: float) -> str:
    """Return a span of time in the largest unit of which it has at least two."""
    for unit, size in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
