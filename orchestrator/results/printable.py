"""Text that is safe to print.

A guest's console, QEMU's error messages and file names may hold control characters. They
are shown as escapes, so that none of them can move the cursor, change a colour or
rewrite a line that was printed before.
"""

#: Characters of a text that are printed. The journal and the evidence have all of them.
LONGEST = 8000


def printable(text: str) -> str:
    """Return the text with an escape for every unprintable character except newline.

    Unprintable are control characters, the invisible ones that reorder or join text, and the
    stand-ins for bytes of a name that are not UTF-8. A text that is very long loses its middle.
    """
    if len(text) > LONGEST:
        half = LONGEST // 2
        left_out = len(text) - 2 * half
        text = f"{text[:half]} [... {left_out:,} characters left out ...] {text[-half:]}"
    if text.isprintable():
        return text
    return "".join(c if c == "\n" or c.isprintable() else _escape(c) for c in text)


def one_line(text: str) -> str:
    """Return a printable text with an escape for each newline, too."""
    return printable(text).replace("\n", "\\n")


def paragraph(text: str) -> str:
    """Return a printable text in which a newline can't begin what looks like another message.

    Each line but the first is indented.
    """
    first, *others = printable(text).split("\n")
    return "\n".join([first, *(f"  {line.lstrip(' ')}" for line in others)])


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
