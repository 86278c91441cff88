"""Aligns the posted-interrupt descriptor to a page, as Debian's binary of Bochs 3.0 wants it."""

import re
import sys
from pathlib import Path

from kernel_source import PlaceError, code, edit

FOLDER = "arch/x86/kvm/vmx"

_MEMBER = re.compile(r"\bstruct\s+pi_desc\s+pi_desc(?=\s*;)")


def align(text: str) -> str:
    """Align the member."""
    found = [*_MEMBER.finditer(code(text))]
    if len(found) != 1:
        raise PlaceError(f"struct pi_desc pi_desc is a member {len(found)} times, not once")
    return text[: found[0].end()] + " __aligned(4096)" + text[found[0].end() :]


def header(source: Path) -> str:
    """Return the header that has the member; which one differs by version."""
    headers = sorted((source / FOLDER).glob("*.h"))
    having = [path.name for path in headers if _MEMBER.search(code(path.read_text()))]
    if len(having) != 1:
        sys.exit(f"{FOLDER}: {len(having)} headers have a member struct pi_desc pi_desc, not one")
    return f"{FOLDER}/{having[0]}"


if __name__ == "__main__":
    edit(header(Path(sys.argv[1])) if len(sys.argv) == 2 else "", align)
