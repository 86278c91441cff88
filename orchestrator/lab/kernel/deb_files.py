"""A kernel from .deb files that the user has."""

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.cache.store import Store
from orchestrator.cache.workshop import workshop
from orchestrator.lab.kernel.kernel import (
    BuildInput,
    Kernel,
    KernelNameError,
    read_kernel,
    silent,
)
from orchestrator.packages.apt import package_tool
from orchestrator.packages.kernel_store import keep_kernel, kept_kernel
from orchestrator.process.existence import no_file


@dataclass(frozen=True, slots=True)
class DebFiles:
    """`deb:FILE,FILE…`: the packages of one kernel."""

    files: tuple[Path, ...]
    name: str
    """The name by which the user asked for the kernel."""

    @classmethod
    def parse(cls, what: str) -> "DebFiles":
        """Return the source that a name means.

        Raises:
            KernelNameError: no file is named.
        """
        if not what:
            raise KernelNameError("deb:")
        try:
            files = [Path(file).expanduser().absolute() for file in what.split(",")]
        except RuntimeError:
            raise KernelNameError(f"deb:{what}", "no user has such a home folder") from None
        return cls(tuple(files), f"deb:{what}")

    def check(self, cache: Path) -> None:
        """Refuse files that are not there."""
        for file, named in zip(self.files, self.name.removeprefix("deb:").split(","), strict=True):
            if why := no_file(file, named):
                raise KernelNameError(self.name, why)

    def fetch(
        self, cache: Path, *, refresh: bool = False, say: Callable[[str], None] = silent
    ) -> Kernel:
        """Return the kernel in the files; see `KernelSource.fetch`."""
        self.check(cache)
        digests = sorted(hashlib.sha256(file.read_bytes()).hexdigest() for file in self.files)
        key = hashlib.sha256("".join(digests).encode()).hexdigest()[:16]
        store = Store(cache / "kernels")
        ready = kept_kernel(store, key)
        if ready is None:
            with workshop(cache / "kernels") as work:
                ready = kept_kernel(store, key)  # by another process, while we waited
                if ready is None:
                    ready = keep_kernel(store, key, self._version(), self.files, work)
        return read_kernel(self, ready)

    def _version(self) -> str:
        about = [package_tool(["dpkg-deb", "-f", str(file), "Package", "Version"],
                          f"reading {file}") for file in self.files]  # fmt: skip
        image = next((a for a in about if re.search("^Package: linux-(image|binary)", a)), "")
        version = re.search(r"^Version: (\S+)", image, re.M)
        if version is None:
            raise KernelNameError(
                self.name, "none of the files is a package linux-image or -binary"
            )
        return version[1]

    def check_variants(self) -> None:
        """Do nothing: the files may have the source."""

    def marks(self, kernel: Kernel) -> Sequence[str]:
        """Return the beginning of the digest of what the files hold."""
        return (kernel.digest[:8],)

    def build_key(self, kernel: Kernel) -> str:
        """Return the version, with a digest of the files' paths, sizes and times."""
        states = ((file, file.stat()) for file in self.files)
        files = [(str(file), state.st_size, state.st_mtime_ns) for file, state in states]
        return f"{kernel.version}-{hashlib.sha256(repr(files).encode()).hexdigest()[:16]}"

    def build_input(self, kernel: Kernel, folder: Path, cache: Path) -> BuildInput:
        """Return the files: source, headers and build tools are among them, or are missing."""
        return BuildInput(self.files)
