"""Finds places in the kernel's C sources by name, and edits them or refuses.

Each program beside this one makes one edit: `program.py SOURCE_DIR` rewrites files of the
kernel's source tree, or says in a sentence what it looked for, and exits with 1. No
kernel code is kept here: only names, and the lines that are put in.
"""

import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

LAPIC = "arch/x86/kvm/lapic.c"

_BLANKED = re.compile(
    r"/\*.*?\*/|//[^\n]*"  # comments
    r'|"(?:\\.|[^"\\\n])*"'  # strings
    r"|^[ \t]*#(?:\\\n|[^\n])*",  # the preprocessor's lines
    re.S | re.M,
)


class PlaceError(Exception):
    """The place of an edit is not there just once."""


class Span(NamedTuple):
    """A part of a text."""

    start: int
    end: int


class Function(NamedTuple):
    """A function's definition."""

    start: int
    parameters: str
    body: Span
    """What is between its braces."""


def edit(file: str, change: Callable[[str], str]) -> None:
    """Rewrite a file of the source tree that the command line names."""
    if len(sys.argv) != 2:
        sys.exit(f"usage: {Path(sys.argv[0]).name} SOURCE_DIR")
    path = Path(sys.argv[1]) / file
    try:
        path.write_text(change(path.read_text()))
    except (PlaceError, OSError) as error:
        sys.exit(f"{file}: {error}")


def edit_all(files: Sequence[str], change: Callable[[str], str | None]) -> None:
    """Rewrite the one of some files that has the place of an edit.

    Args:
        files: files of the source tree; kernels have the place in one or another of them.
        change: returns the edited text, or None if the place is not in it.
    """
    if len(sys.argv) != 2:
        sys.exit(f"usage: {Path(sys.argv[0]).name} SOURCE_DIR")
    paths = [path for file in files if (path := Path(sys.argv[1]) / file).exists()]
    try:
        edited = {path: new for path in paths if (new := change(path.read_text())) is not None}
    except (PlaceError, ValueError, OSError) as error:
        sys.exit(f"{', '.join(files)}: {error}")
    if len(edited) != 1:
        sys.exit(f"{', '.join(files)}: {len(edited)} of them have the place, not one")
    for path, text in edited.items():
        path.write_text(text)


def code(text: str) -> str:
    """Return a text of the same length with comments, strings and preprocessor lines blank."""
    return _BLANKED.sub(lambda found: re.sub(r"[^\n]", " ", found[0]), text)


def function(text: str, name: str) -> Function:
    """Find a function's definition.

    Raises:
        PlaceError: it is not defined just once.
    """
    found = [*re.finditer(rf"^\w[^;{{}}()]*\b{name}\(([^;{{}}]*)\)\s*^\{{(.*?)^\}}",
                          code(text), re.S | re.M)]  # fmt: skip
    if len(found) != 1:
        raise PlaceError(f"{name}() is defined {len(found)} times, not once")
    return Function(found[0].start(), found[0][1], Span(*found[0].span(2)))


def statement(text: str, body: Span, symbol: str) -> Span:
    """Find the statement that uses a symbol, with the condition that stands before it.

    Raises:
        PlaceError: there is not just one.
    """
    plain = code(text)
    spans = set()
    for use in re.finditer(rf"\b(?:\w+_)?{symbol}\b", plain[: body.end]):
        if use.start() >= body.start:
            start = max(plain.rfind(mark, 0, use.start()) for mark in ";{}") + 1
            start += len(plain[start:]) - len(plain[start:].lstrip())
            spans.add(Span(start, plain.index(";", use.end()) + 1))
    if len(spans) != 1:
        raise PlaceError(f"{symbol} is in {len(spans)} statements of the function, not in one")
    return spans.pop()


def indent(text: str, place: int) -> str:
    """Return the white space that a place's line begins with."""
    line = text.rfind("\n", 0, place) + 1
    return text[line:place] if text[line:place].isspace() else ""


class Hooks(NamedTuple):
    """Where KVM_SET_LAPIC is handled, and its two calls that concern posted interrupts."""

    function: Function
    pre: Span
    """The call that clears them, at the start."""
    post: Span
    """The call at the end."""


def hooks(text: str) -> Hooks:
    """Find them.

    Raises:
        PlaceError: this is not the source of a kernel with the fix.
    """
    found = function(text, "kvm_apic_set_state")
    pre = statement(text, found.body, "apicv_pre_state_restore")
    post = statement(text, found.body, "apicv_post_state_restore")
    before = code(text)[found.body.start : pre.start]
    if pre.start > post.start or before.count("{") != before.count("}"):
        raise PlaceError("kvm_apic_set_state() does not call apicv_pre_state_restore at its start")
    return Hooks(found, pre, post)
