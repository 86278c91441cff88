"""The answers of the emulator's console, as bytes arrive and as values.

The console ends an answer with a line `OK`, or with one that begins with `KO:` and a reason. The
emulator's snapshot code sends the reason in pieces of its own, each after another `KO: `, and not
always with a line's end (android/console.cpp of the emulator's sources).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

#: Bytes of an answer that are kept. `help` is the longest, with some kB.
MOST_BYTES = 64 * 1024

#: A snapshot's tag that the console takes as one word, and a file system as a name.
_TAG = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")

#: The snapshot of quick boot. The emulator deletes it after failures of its own.
QUICK_BOOT = "default_boot"


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer."""

    lines: tuple[str, ...]
    """Its lines, without the one that ends it."""
    refusal: str | None = None
    """The reason after `KO:`; None if the command was carried out."""


def whole_reply(received: bytes, *, silent: bool) -> Reply | None:
    """Return the answer in some bytes, or None while its end is missing.

    Args:
        received: everything that arrived since the command was sent.
        silent: whether nothing more came for a while. Only then is a refusal whole, because
            further pieces, or an `OK` that makes it a warning, may follow.
    """
    text = received.decode(errors="replace")
    whole, _, rest = text.rpartition("\n")
    lines = [line.strip("\r\0 ") for line in whole.split("\n")] if whole else []
    for number, line in enumerate(lines):
        if line == "OK" or line.startswith("OK:"):
            return Reply(tuple(each for each in lines[:number] if each))
    if not silent:
        return None
    said = [line for line in [*lines, rest.strip("\r\0 ")] if line]
    at = next((number for number, line in enumerate(said) if line.startswith("KO:")), None)
    if at is None:
        return None
    reason = re.sub(r"\s*KO:\s*", " ", " ".join(said[at:]))
    return Reply(tuple(said[:at]), reason.strip())


def heartbeat(lines: Sequence[str]) -> int | None:
    """Return the number in an answer to `avd heartbeat`; None if there is none."""
    for line in lines:
        if found := re.fullmatch(r"heartbeat:\s*(\d{1,18})", line):
            return int(found[1])
    return None


def snapshots(lines: Sequence[str], tag: str) -> bool:
    """Return whether an answer to `avd snapshot list` names a snapshot."""
    return any(tag in line.split() for line in lines)


def checked_tag(tag: str) -> str:
    """Return a tag that losttick may save under and delete.

    Raises:
        ValueError: the console would take it for something else, or it is quick boot's.
    """
    if tag == QUICK_BOOT or not _TAG.fullmatch(tag):
        raise ValueError(f"no name for a snapshot of losttick's own: {tag!r}")
    return tag
