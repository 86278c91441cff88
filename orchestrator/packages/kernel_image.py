"""Reads fields of a kernel's image and of its modules."""

import re
import struct
from pathlib import Path

#: Offsets in a bzImage: of the magic number, and of the pointer to the kernel's version, which
#: counts from `_SETUP` (Linux: Documentation/arch/x86/boot.rst).
_MAGIC_AT, _VERSION_AT, _SETUP = 0x202, 0x20E, 0x200


_MAGIC = b"HdrS"


class ImageError(ValueError):
    """A file is no bzImage."""


def image_release(image: Path) -> str:
    """Return the release of a bzImage, as `uname -r` prints it once the image has booted.

    Raises:
        ImageError: the file is no bzImage.
    """
    with image.open("rb") as file:
        head = file.read(0x10000)
    if head[_MAGIC_AT : _MAGIC_AT + 4] != _MAGIC:
        raise ImageError(f"{image} is no bzImage")
    (pointer,) = struct.unpack_from("<H", head, _VERSION_AT)
    said = head[_SETUP + pointer :].partition(b"\0")[0].split(b" ")[0] if pointer else b""
    if not said:
        raise ImageError(f"{image} does not say which release it is")
    return said.decode(errors="replace")


def module_field(module: bytes, name: str) -> str:
    """Return a field of a module's description, as modinfo prints it; empty if it has none."""
    found = re.search(rb"\0" + name.encode() + rb"=([^\0]*)\0", module)
    return found[1].decode(errors="replace") if found else ""
