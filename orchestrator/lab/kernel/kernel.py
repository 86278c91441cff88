"""A kernel and its KVM modules."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from orchestrator.cache.workshop import cache_folder
from orchestrator.errors import InputError

#: KVM's modules, in the order in which they load.
MODULES = ("irqbypass", "kvm", "kvm-intel")


_FORMS = "name it as debian:SUITE, debian:VERSION, deb:FILE,… or tree:DIR"


class KernelNameError(InputError):
    """A kernel was named in a way that is not known."""

    def __init__(self, name: str, seen: str = "that is no kernel") -> None:
        super().__init__(f"kernel {name!r}: {seen}; {_FORMS}, such as debian:bookworm")


@dataclass(frozen=True, slots=True)
class Kernel:
    """A kernel and its KVM modules."""

    name: str
    """As it was asked for."""
    version: str
    """Debian's version of the package; of a tree, its release."""
    release: str
    """As `uname -r` says it."""
    image: Path
    modules: dict[str, bytes]
    """The modules of `MODULES` that are not built in, by name."""
    files: tuple[Path, ...] = ()
    """The .deb files that it came from, if they were the user's."""
    variant: str = "untouched"
    """What was done to its modules."""


def build_place(kernel: Kernel, cache: Path | None = None) -> Path:
    """Return the folder in which a kernel's modules are built."""
    key = kernel.version
    if kernel.files:
        states = ((file, file.stat()) for file in kernel.files)
        files = [(str(file), state.st_size, state.st_mtime_ns) for file, state in states]
        key += "-" + hashlib.sha256(repr(files).encode()).hexdigest()[:16]
    return (cache or cache_folder()) / "builds" / key
