"""A kernel with its KVM modules, and where a kernel can come from."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from orchestrator.cache.store import Entry
from orchestrator.cache.workshop import cache_folder
from orchestrator.errors import InputError
from orchestrator.packages.kernel_store import MODULES
from orchestrator.packages.suites import Package

_FORMS = (
    "that is no kernel; name it as debian:SUITE, debian:VERSION, deb:FILE,…, tree:DIR or "
    "git:DIR@COMMIT, such as debian:bookworm"
)


def silent(text: str) -> None:
    """Say nothing."""


class KernelNameError(InputError):
    """A kernel's name has no known form, or names what is not there or can't be used.

    Args:
        name: the name as the user gave it.
        seen: what is wrong, and what to do; by default, that the form is not known.
    """

    def __init__(self, name: str, seen: str = _FORMS) -> None:
        super().__init__(f"kernel {name!r}: {seen}")


class NoKernelSourceError(InputError):
    """The modules of a kernel can't be built, because the kernel came without its source."""


@dataclass(frozen=True, slots=True)
class BuildInput:
    """The packages from which a kernel's modules are built: source, headers and build tools."""

    archives: tuple[Path, ...]
    build_tools: Package | None = None
    """The package of Debian's build tools, if they must run by the C library of its suite."""


class KernelSource(Protocol):
    """A source of kernels, such as Debian or a source tree.

    To add one: write a class with these methods in a file of its own, and name it in `SOURCES`
    of `names.py`.
    """

    @property
    def name(self) -> str:
        """The name by which the user asked for the kernel, such as `debian:bookworm`."""
        ...

    def check(self, cache: Path) -> None:
        """Refuse a name that names nothing, before anything large is fetched or built.

        Args:
            cache: where lists of packages are kept.

        Raises:
            KernelNameError: the name names nothing, or what can't run in a lab.
            PackagesError: what the mirror has can't be found out here.
        """
        ...

    def fetch(
        self, cache: Path, *, refresh: bool = False, say: Callable[[str], None] = silent
    ) -> "Kernel":
        """Return the kernel, from the cache if it is there.

        Args:
            cache: where fetched kernels are kept.
            refresh: look again for what is newest.
            say: hears how far a build is.

        Raises:
            KernelNameError: the name names nothing.
            PackagesError: the kernel can't be had here.
        """
        ...

    def check_variants(self) -> None:
        """Refuse at once if the modules of such kernels are never edited.

        Raises:
            NoKernelSourceError: they are not.
        """
        ...

    def marks(self, kernel: "Kernel") -> Sequence[str]:
        """Return what tells a kernel from another of its version, the plainest first."""
        ...

    def build_key(self, kernel: "Kernel") -> str:
        """Return a name that differs between kernels whose modules are built from other files."""
        ...

    def build_input(self, kernel: "Kernel", folder: Path, cache: Path) -> BuildInput:
        """Return what the kernel's modules are built from.

        Args:
            kernel: the fetched kernel.
            folder: where to put fetched packages.
            cache: where lists of packages are kept.

        Raises:
            NoKernelSourceError: this kernel has no source.
            PackagesError: the packages can't be had here.
        """
        ...


@dataclass(frozen=True, slots=True)
class Kernel:
    """A kernel and its KVM modules."""

    source: KernelSource
    version: str
    """Version of Debian's package, or the release of a tree."""
    release: str
    """The release as `uname -r` prints it."""
    image: Path
    modules: dict[str, bytes]
    """The modules of `MODULES` that are not built in, by name."""
    variant: str = "untouched"
    """Name of the variant of the modules."""
    edits: tuple[str, ...] = ()
    """Names of the edits with which the modules were built."""
    label: str = ""
    """The user's own name for the kernel, or what tells it from another of its version."""

    @property
    def name(self) -> str:
        """The name by which the user asked for the kernel."""
        return self.source.name

    @property
    def title(self) -> str:
        """The name by which the output calls the kernel."""
        return self.label or self.version

    @property
    def kvm_built_in(self) -> bool:
        """True if KVM is part of the kernel's image, so that nothing can load it anew."""
        return "kvm-intel" not in self.modules

    @property
    def digest(self) -> str:
        """SHA-256 of the image and the modules."""
        digest = hashlib.sha256(self.image.read_bytes())
        for name, data in sorted(self.modules.items()):
            digest.update(name.encode() + hashlib.sha256(data).digest())
        return digest.hexdigest()


def build_place(kernel: Kernel, cache: Path | None = None) -> Path:
    """Return the folder in which a kernel's modules are built."""
    return (cache or cache_folder()) / "builds" / kernel.source.build_key(kernel)


def read_kernel(source: KernelSource, kept: Entry) -> Kernel:
    """Read a kernel and its modules from the kernel's entry in the cache."""
    content = kept.content
    modules = {
        module: path.read_bytes()
        for module in MODULES
        if (path := content / f"{module}.ko").exists()
    }
    release = str(kept.info.details["release"])
    return Kernel(source, kept.info.version, release, content / "vmlinuz", modules)
